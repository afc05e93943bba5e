# SPDX-License-Identifier: Apache-2.0
"""What a row of a manifest may point to: a picture, a volume, a folder of slices, or one member of a file.

A path is ``film.png``, ``scan.nii.gz``, the folder of a DICOM series, or a file and a member below it: ``bold.nii.gz/3`` and
``film.dcm/12`` are frames, ``breastmnist.npz/train_images/000012`` is an item.
"""

import hashlib
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Final

from medsetu.core.run import sha256_file
from medsetu.reader.archive import item_bytes, read_item
from medsetu.reader.dicom import is_dicom, open_header, read_dicom
from medsetu.reader.frames import frame_count, read_frames
from medsetu.reader.guard import Unreadable, guarded, refusal
from medsetu.reader.image import read_image
from medsetu.reader.nifti import is_nifti, read_nifti
from medsetu.reader.picture import Picture
from medsetu.reader.series import read_series
from medsetu.reader.volume import RELATIVE, Volume, montage, percentile_window, to_unit_range

MAX_BYTES = 1 << 31
"""Files above two gibibytes are no single sample."""

_HEAD: Final = 1 << 16


def split_member(path: Path) -> tuple[Path, str]:
    """Tell the file, or the folder of a series, from the member below it.

    Args:
        path: Of a sample.

    Returns:
        The file or folder, and the member; empty when all of it is the sample, or nothing is there.

    Example:
        >>> split_member(Path("no/such/film.png")) == (Path("no/such/film.png"), "")
        True
    """
    if not path.exists():
        for parent in path.parents:
            if parent.is_file():
                return parent, path.relative_to(parent).as_posix()
    return path, ""


def read_sample(path: Path, *, sample_id: str = "") -> Picture | Volume:
    """Read whatever a row points to; the first bytes decide, never the name.

    Args:
        path: File, folder of a DICOM series, or file and member.
        sample_id: Named in errors; the name of the path when empty.

    Returns:
        A picture, or a volume where there is depth or time.

    Raises:
        DataError: When nothing readable is there.
    """
    sample = sample_id or path.name
    file, member = split_member(path)
    if file.is_dir():
        return read_series(file, sample_id=sample)
    head = _head(file, sample)
    if head.startswith(b"PK") and member:
        return read_item(file, member, sample_id=sample)
    if is_nifti(head):
        return read_nifti(file.read_bytes(), frame=_number(member, sample) if member else None, sample_id=sample)
    if is_dicom(head):
        data = file.read_bytes()
        if member:
            return _frame(read_frames(data, sample_id=sample), _number(member, sample), sample_id=sample)
        return read_frames(data, sample_id=sample) if _frames(data, sample_id=sample) > 1 else read_dicom(data, sample_id=sample)
    return read_image(path, sample_id=sample)


def read_picture(path: Path, *, sample_id: str = "") -> Picture:
    """Read a sample that has to be a picture.

    Raises:
        DataError: When it is none, or a volume.
    """
    sample = read_sample(path, sample_id=sample_id)
    if isinstance(sample, Volume):
        raise refusal(
            sample_id=sample_id,
            reader="picture",
            expected="one picture",
            found=f"{sample.voxels.shape[0]} slices or frames",
            remedy="Use a network of three dimensions, or name one frame",
        )
    return sample


def read_volume(path: Path, *, sample_id: str = "") -> Volume:
    """Read a sample that has to be a volume.

    Raises:
        DataError: When it is none, or a picture.
    """
    sample = read_sample(path, sample_id=sample_id)
    if isinstance(sample, Picture):
        raise refusal(
            sample_id=sample_id,
            reader="volume",
            expected="a volume",
            found="one picture",
            remedy="Use a network of two dimensions, or name the folder of the series",
        )
    return sample


def read_shown(path: Path, *, sample_id: str = "") -> Picture:
    """Read the picture that stands for a sample, see ``shown``.

    Args:
        path: File, folder of a DICOM series, or file and member.
        sample_id: Named in errors; the name of the path when empty.

    Returns:
        The picture.

    Raises:
        DataError: When nothing readable is there.
    """
    return shown(read_sample(path, sample_id=sample_id), sample_id=sample_id or path.name)


@guarded("volume")
def shown(sample: Picture | Volume, *, sample_id: str = "") -> Picture:
    """Picture that stands for a sample where samples are compared: itself, or four slices of a volume side by side.

    Volumes are scaled by their percentiles whatever their unit: a scan and its conversion to NIfTI, which loses the unit, look alike.

    Args:
        sample: Picture or volume.
        sample_id: Named in errors.

    Returns:
        The picture; its facts are those of the sample.

    Raises:
        DataError: For a volume without contrast.
    """
    del sample_id  # used by the guard
    if isinstance(sample, Picture):
        return sample
    window = None if sample.unit == RELATIVE else percentile_window(sample.voxels)
    return Picture(montage(to_unit_range(sample, window).voxels), sample.facts)


def sample_digest(path: Path) -> str:
    """SHA-256 of what a row points to: of the bytes of a file, of the files of a folder in order, of one item of an array.

    Args:
        path: Of the sample.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: When it cannot be opened.
        DataError: When a file has no such item.
    """
    file, member = split_member(path)
    if file.is_dir():
        parts = [sha256_file(entry) for entry in sorted(file.iterdir()) if entry.is_file() and not entry.name.startswith(".")]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    if not member:
        return sha256_file(file)
    with file.open("rb") as stream:
        packed = stream.read(2) == b"PK"
    told = item_bytes(file, member, sample_id=path.name) if packed else f"{sha256_file(file)}/{member}".encode()
    return hashlib.sha256(told).hexdigest()


def sample_state(path: Path) -> list[str | int]:
    """Place, size and modification time of what a row points to: changes when a file does, and costs no reading.

    Args:
        path: Of the sample.

    Returns:
        Plain values; of a folder those of all its files.

    Raises:
        OSError: When it is not there.
    """
    found: list[str | int] = [str(path.absolute())]
    try:
        whole = path.stat()  # asked once: on a disk across the network that is what a million files cost
    except OSError:
        whole = split_member(path)[0].stat()
    entries = sorted(os.scandir(path), key=lambda entry: entry.name) if stat.S_ISDIR(whole.st_mode) else []
    for status in [entry.stat() for entry in entries] or [whole]:
        found += [status.st_size, status.st_mtime_ns]
    return found


def _head(file: Path, sample: str) -> bytes:
    """First bytes of a file that exists; of any other nothing, and ``read_image`` says why."""
    try:
        if not file.is_file():
            return b""
        size = file.stat().st_size
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return b""
    if size > MAX_BYTES:
        raise refusal(sample_id=sample, reader="sample", expected=f"at most {MAX_BYTES} bytes", found=f"a file of {size}")
    return head


@guarded("DICOM")
def _frames(data: bytes, *, sample_id: str = "") -> int:
    del sample_id  # used by the guard
    return frame_count(open_header(data))


def _number(member: str, sample: str) -> int:
    if not member.isdigit():
        raise refusal(sample_id=sample, reader="sample", expected="the number of a frame after the file", found="another member")
    return int(member)


@guarded("DICOM frames")
def _frame(film: Volume, number: int, *, sample_id: str = "") -> Picture:
    """One frame of a film in time."""
    del sample_id  # used by the guard
    if film.unit != RELATIVE or not 0 <= number < film.voxels.shape[0]:
        raise Unreadable(expected="a frame of a film in time", found=f"{film.voxels.shape[0]} slices or frames")
    facts = replace(film.facts, depth=1, steps=(*film.facts.steps, f"frame {number} of {film.voxels.shape[0]}"))
    return Picture(film.voxels[number].copy(), facts)
