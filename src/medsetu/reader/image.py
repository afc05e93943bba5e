# SPDX-License-Identifier: Apache-2.0
"""One door for every image file: the first bytes decide which reader opens it, never the name."""

from pathlib import Path
from typing import Final

from medsetu.reader.dicom import is_dicom, read_dicom
from medsetu.reader.guard import refusal
from medsetu.reader.picture import Facts as Facts
from medsetu.reader.picture import Picture as Picture
from medsetu.reader.raster import read_raster

MAX_BYTES = 1 << 30
"""Files above one gibibyte are no single image."""

_EXPECTED: Final = "a PNG, JPEG, TIFF, PGM or DICOM image"
_RASTER: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"P2", b"P5")
_STRANGERS: Final = {
    b"version https://git-lfs": "a Git LFS pointer",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF document",
    b"GIF8": "a GIF image",
    b"BM": "a BMP image",
    b"RIFF": "a WebP or other RIFF file",
    b"<": "a web page or XML text",
}


def read_image(path: Path, *, sample_id: str = "") -> Picture:
    """Read one image file.

    Args:
        path: The file; its extension is not looked at.
        sample_id: Named in errors; the file name when empty.

    Returns:
        The picture, (H, W) float32 in [0, 1], and its facts.

    Raises:
        DataError: When the file is missing, empty, truncated, of another type, or holds what no reader accepts.
    """
    sample = sample_id or path.name
    data = _load(path, sample)
    if is_dicom(data):
        return read_dicom(data, sample_id=sample)
    if data.startswith(_RASTER):
        return read_raster(data, sample_id=sample)
    raise refusal(sample_id=sample, reader="image", expected=_EXPECTED, found=_describe(data))


def _load(path: Path, sample: str) -> bytes:
    found = "no file that can be read"
    try:
        if path.is_file():
            size = path.stat().st_size
            if 0 < size <= MAX_BYTES:
                return path.read_bytes()
            found = f"a file of {size} bytes" if size else "an empty file"
        elif path.exists():
            found = "a folder or device"
    except OSError as fault:
        found = f"a file that cannot be opened ({type(fault).__name__})"
    raise refusal(sample_id=sample, reader="image", expected=_EXPECTED, found=found)


def _describe(data: bytes) -> str:
    return next((name for magic, name in _STRANGERS.items() if data.startswith(magic)), "another kind of file")
