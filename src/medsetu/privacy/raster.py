# SPDX-License-Identifier: Apache-2.0
"""Metadata of PNG, TIFF and PGM files: text, time, Exif, XMP, private chunks and tags, and bytes behind the picture."""

import io
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

from PIL import Image

from medsetu.privacy.jpeg import exif_count
from medsetu.privacy.pattern import looks_like
from medsetu.reader.guard import guarded

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_STANDARD: Final = frozenset(
    {
        *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"bKGD", b"hIST", b"tRNS", b"pHYs"),
        *(b"sPLT", b"mDCV", b"cLLI", b"acTL", b"fcTL", b"fdAT", b"oFFs", b"sCAL", b"pCAL"),
    }
)
_HARMLESS_KEYS: Final = frozenset({"software", "gamma", "colorspace", "warning", "aspect", "png:bkgd", "png:ihdr.bit-depth-orig"})
_MOST_TEXT: Final = 1 << 20  # bytes that a compressed text may inflate to
_MOST_PAGES: Final = 4096
_TIFF_KINDS: Final = {
    270: "description",
    269: "description",
    285: "description",
    306: "time",
    36867: "time",
    36868: "time",
    315: "person",
    316: "person",
    33432: "person",
    271: "device",
    272: "device",
    42033: "device",
    50735: "device",
    700: "block",
    33723: "block",
    34377: "block",
    34665: "block",
    34853: "block",
}
_PRIVATE_FROM: Final = 32768
_REGISTERED: Final = frozenset({32995, 32996, 32997, 32998, 34675, 42113})
_TOOLS: Final = ("ImageJ=", '{"shape"', "OpenCV", "Created with")


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Go through the chunks of a PNG file; the end comes with everything behind it.

    Args:
        data: The whole file.

    Yields:
        Name and content.
    """
    at = len(_PNG)
    while at + 8 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name == b"IEND":
            yield name, data[at + 12 :]
            return
        yield name, data[at + 8 : at + 8 + size]
        at += 12 + size


@guarded("PNG")
def audit_png(data: bytes, *, sample_id: str = "") -> Counter[str]:
    """Audit the metadata of a PNG file.

    Args:
        data: The whole file.
        sample_id: Named in errors.

    Returns:
        Rule -> count.

    Raises:
        DataError: The file is no PNG.
    """
    del sample_id  # used by the guard
    if not data.startswith(_PNG):
        raise ValueError
    found: Counter[str] = Counter()
    for name, content in chunks(data):
        if name in (b"tEXt", b"zTXt", b"iTXt"):
            found.update(_png_text(name, content))
        elif name == b"tIME":
            found["png/time"] += 1
        elif name in (b"eXIf", b"zxIf"):
            found["png/exif"] += int(exif_count(content) > 0)
        elif name == b"IEND":
            found["file/tail"] += int(bool(content.strip(b"\0\r\n ")))
        elif name not in _STANDARD:
            found["png/chunk"] += 1
    return +found


def _png_text(name: bytes, content: bytes) -> Counter[str]:
    key, _, rest = content.partition(b"\0")
    word = key.decode("latin-1").strip().lower()
    if word.startswith("xml:com.adobe"):
        return Counter({"png/xmp": 1})
    if word.startswith("raw profile type"):
        return Counter() if word.endswith("icc") else Counter({"png/exif": 1})
    try:
        patterns = looks_like(_inflated(name, rest))
    except zlib.error:
        return Counter({"png/text": 1})  # nobody has read it
    if word in _HARMLESS_KEYS and not patterns:
        return Counter()
    if word.startswith(("date:", "creation time", "create-date")):
        return Counter({"png/time": 1})
    return Counter({"png/text": 1}) + Counter({f"png/looks like {pattern}": count for pattern, count in patterns.items()})


def _inflated(name: bytes, rest: bytes) -> str:
    """Text behind the key; international text has two flags, a language and a translated key before it."""
    packed = name == b"zTXt"
    if name == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    elif packed:
        rest = rest[1:]
    if packed:
        rest = zlib.decompressobj().decompress(rest, _MOST_TEXT)
    return rest[:_MOST_TEXT].decode("utf-8", "replace")


@guarded("TIFF")
def audit_tiff(data: bytes, *, sample_id: str = "") -> Counter[str]:
    """Audit the tags of every page of a TIFF file.

    Args:
        data: The whole file.
        sample_id: Named in errors.

    Returns:
        Rule -> count.

    Raises:
        DataError: The file cannot be parsed.
    """
    del sample_id  # used by the guard
    found: Counter[str] = Counter()
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        for page in range(min(getattr(image, "n_frames", 1), _MOST_PAGES)):
            image.seek(page)
            tags: dict[int, object] = getattr(image, "tag_v2", {})
            for tag in tags:
                found.update(_tiff_tag(int(tag), tags[tag]))
    return +found


def _tiff_tag(tag: int, value: object) -> Counter[str]:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    kind = _TIFF_KINDS.get(tag)
    if kind is None:
        return Counter({"tiff/private": 1} if tag >= _PRIVATE_FROM and tag not in _REGISTERED else {})
    if not text.strip(" \0"):
        return Counter()
    patterns = Counter({f"tiff/looks like {name}": count for name, count in looks_like(text).items()} if kind == "description" else {})
    if kind == "description" and text.startswith(_TOOLS) and not patterns:
        return Counter()
    return Counter({f"tiff/{kind}": 1}) + patterns


def audit_pgm(data: bytes) -> Counter[str]:
    r"""Audit the comments in the head of a PGM file.

    Args:
        data: The whole file.

    Returns:
        Rule -> count.

    Example:
        >>> audit_pgm(b"P5\n# CREATOR: XV\n2 1\n255\nab"), audit_pgm(b"P5\n# MRN 123456\n2 1\n255\nab")
        (Counter(), Counter({'pgm/looks like record number': 1}))
    """
    lines = [line for line in data[:4096].split(b"\n") if line.startswith(b"#")]
    patterns = looks_like(b"\n".join(lines).decode("latin-1"))
    return Counter({f"pgm/looks like {name}": count for name, count in patterns.items()})
