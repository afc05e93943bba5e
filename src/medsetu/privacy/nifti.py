# SPDX-License-Identifier: Apache-2.0
"""Text of NIfTI-1, NIfTI-2 and Analyze headers, their extensions, and the file name that gzip keeps."""

import gzip
import io
import re
import struct
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medsetu.privacy.pattern import looks_like
from medsetu.reader.guard import Unreadable, guarded

_GZIP: Final = b"\x1f\x8b"
_FNAME, _FCOMMENT, _FEXTRA = 8, 16, 4
_MOST: Final = 1 << 24  # bytes of header and extensions
_TOOLS: Final = re.compile(
    r"(?:fsl|spm|itk|afni|freesurfer|mrtrix|nibabel|simpleitk|dcm2niix?|insight|mricron|niftyreg|ants|te=|tr=|none$|aaa|r\.|zscore|mask)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Layout:
    """Where a header keeps its text.

    Attributes:
        size: Bytes of the header.
        fields: Start and end of every text field.
        offset: Where the offset of the voxels stands, and its format.
    """

    size: int
    fields: tuple[tuple[int, int], ...]
    offset: tuple[int, str]

    def voxels(self, header: bytes, order: str) -> int:
        """Say where the voxels begin; 0 where the header does not say.

        Args:
            header: At least the whole header.
            order: ``<`` or ``>``.

        Returns:
            Offset, bytes.
        """
        place, form = self.offset
        (offset,) = struct.unpack(order + form, header[place : place + struct.calcsize(form)])
        return int(offset) if self.size < offset < _MOST else 0


NIFTI1: Final = Layout(348, ((4, 14), (14, 32), (148, 228), (228, 252), (328, 344)), (108, "f"))
NIFTI2: Final = Layout(540, ((240, 320), (320, 344), (508, 524), (525, 540)), (168, "q"))


def layout_of(header: bytes) -> tuple[Layout, str] | None:
    """Tell the layout and the byte order of a header; None when it is none.

    Example:
        >>> layout_of((348).to_bytes(4, "big") + bytes(400))[1]
        '>'
        >>> layout_of(b"P5 1 1 255 a") is None
        True
    """
    for order in "<>":
        for layout in (NIFTI1, NIFTI2):
            if header[:4] == struct.pack(f"{order}i", layout.size):
                return layout, order
    return None


def is_nifti(data: bytes) -> bool:
    """Whether bytes are a NIfTI or Analyze header, perhaps in gzip.

    Args:
        data: At least the first 1024 bytes.

    Returns:
        True when the size of the header says so.
    """
    if data.startswith(_GZIP):
        try:
            data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, 1024)
        except zlib.error:
            return False
    return layout_of(data) is not None


@guarded("NIfTI")
def audit_nifti(path: Path, *, sample_id: str = "") -> Counter[str]:
    """Audit the head of a NIfTI or Analyze file; its voxels are not loaded.

    Args:
        path: The file, ``.nii``, ``.nii.gz``, ``.hdr`` or ``.img``.
        sample_id: Named in errors.

    Returns:
        Rule -> count.

    Raises:
        DataError: The file has no such header.
    """
    del sample_id  # used by the guard
    with path.open("rb") as stream:
        start = stream.read(4096)
        stream.seek(0)
        plain = gzip.GzipFile(fileobj=stream) if start.startswith(_GZIP) else stream
        head = plain.read(NIFTI2.size + 4)
        found = Counter({"nifti/original name": 1} if _gzip_name(start) else {})
        for name, count in looks_like(_gzip_name(start)).items():
            found[f"nifti/looks like {name}"] += count
        layout = layout_of(head)
        if layout is None:
            raise Unreadable(expected="a NIfTI header", found="another beginning")
        return found + _audit_head(head, *layout) + _extensions(head, plain, *layout)


def _gzip_name(start: bytes) -> str:
    """Original name and comment that a gzip member carries (RFC 1952); empty where it has none."""
    if not start.startswith(_GZIP):
        return ""
    flags, rest = start[3], start[10:]
    if flags & _FEXTRA:
        rest = rest[2 + int.from_bytes(rest[:2], "little") :]
    parts = rest.split(b"\0", 2)[: bool(flags & _FNAME) + bool(flags & _FCOMMENT)]
    return " ".join(part.decode("latin-1") for part in parts)


def _audit_head(head: bytes, layout: Layout, order: str) -> Counter[str]:
    del order
    found: Counter[str] = Counter()
    for start, end in layout.fields:
        text = head[start:end].split(b"\0")[0].decode("latin-1").strip()
        patterns = looks_like(text)
        if text and (patterns or not _TOOLS.match(text)):
            found["nifti/text"] += 1
        for name, count in patterns.items():
            found[f"nifti/looks like {name}"] += count
    return found


def _extensions(head: bytes, plain: io.IOBase | gzip.GzipFile, layout: Layout, order: str) -> Counter[str]:
    """Count the extensions between the header and the voxels."""
    offset = layout.voxels(head, order)
    if head[layout.size : layout.size + 1] in (b"", b"\0") or offset <= layout.size + 4:
        return Counter()
    block = head[layout.size + 4 :] + plain.read(max(0, offset - len(head)))
    found: Counter[str] = Counter()
    at = 0
    while at + 8 <= len(block):
        size, _ = struct.unpack(f"{order}ii", block[at : at + 8])
        if size < 8:
            break
        found["nifti/extension"] += 1
        for name, count in looks_like(block[at + 8 : at + size].decode("latin-1")).items():
            found[f"nifti/looks like {name}"] += count
        at += size
    return found
