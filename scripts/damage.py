# SPDX-License-Identifier: Apache-2.0
"""What a broken disk or an enemy makes of files; used by ``scripts/fuzz.py`` on those of ``scripts/sound.py``."""

import gzip
import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
from scripts.sound import SHEET

Random = np.random.Generator
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)
LYING = (0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
BOMB = 1 << 28  # bytes that a bomb unpacks to
LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha" * 50}">' for n in range(10))


def _lying_length(found: bytearray, place: int, rng: Random) -> None:
    form, most = [("<I", 0xFFFFFFFF), (">I", 0xFFFFFFFF), ("<H", 0xFFFF), (">H", 0xFFFF)][int(rng.integers(4))]
    found[place : place + struct.calcsize(form)] = struct.pack(form, LYING[int(rng.integers(len(LYING)))] & most)


def damage(data: bytes, rng: Random) -> bytes:
    """Change some bytes, set some to extremes, cut the end, cut a piece out, double one, flip a bit, or let a length lie."""
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        place, length = int(rng.integers(len(found) or 1)), int(rng.integers(1, 9))
        kind = rng.integers(7)
        if kind < 2:
            found[place : place + length] = (rng.bytes(length), bytes([EXTREMES[int(rng.integers(len(EXTREMES)))]]) * length)[kind]
        elif kind == 2:
            del found[place:]
        elif kind == 3:
            del found[place : place + int(rng.integers(1, 200))]
        elif kind == 4:
            found[place:place] = found[place : place + int(rng.integers(1, 200))]
        elif kind == 5:
            _lying_length(found, place, rng)
        elif place < len(found):
            found[place] ^= 1 << int(rng.integers(8))
    return bytes(found)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _zeros(size: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def _gzipped_zeros(head: bytes, size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(head) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def lie_png(data: bytes, rng: Random) -> bytes:
    """Declare huge sides with a right checksum, or pack a bomb into text, into a profile or into the pixels."""
    del data
    side = int(rng.choice([0, 9_000, 40_000, 1 << 20, (1 << 31) - 1, (1 << 32) - 1]))
    bits, colour = int(rng.choice([1, 2, 4, 8, 16])), int(rng.choice([0, 2, 3, 4, 6]))
    size = int(rng.choice([1 << 20, BOMB]))
    extra = [b"", _chunk(b"zTXt", b"note\0\0" + _zeros(size)), _chunk(b"iCCP", b"p\0\0" + _zeros(size))][int(rng.integers(3))]
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + _chunk(b"IDAT", _zeros(size)) + _chunk(b"IEND", b"")


def lie_tiff(data: bytes, rng: Random) -> bytes:
    """Change one entry of the directory: its type, its count or its value."""
    found = bytearray(data)
    (first,) = struct.unpack_from("<I", found, 4)
    (entries,) = struct.unpack_from("<H", found, first)
    entry = first + 2 + 12 * int(rng.integers(entries))
    form, place = [("<H", entry + 2), ("<I", entry + 4), ("<I", entry + 8), ("<I", first + 2 + 12 * entries)][int(rng.integers(4))]
    value = int(rng.choice([*LYING, first]))
    struct.pack_into(form, found, place, value & (0xFFFF if form == "<H" else 0xFFFFFFFF))
    return bytes(found)


def lie_jpeg(data: bytes, rng: Random) -> bytes:
    """Declare other sides, or another number of components."""
    found = bytearray(data)
    place = found.find(b"\xff\xc0")
    struct.pack_into(">HH", found, place + 5, *(int(rng.choice([0, 1, 9_000, 0x7FFF, 0xFFFF])) for _ in range(2)))
    found[place + 9] = int(rng.choice([0, 1, 3, 4, 255]))
    return bytes(found)


def lie_pgm(data: bytes, rng: Random) -> bytes:
    """Declare other sides or another white, without end of digits or comments."""
    numbers = ["0", "8", "65536", "9999999999", "9" * 100_000, "#" * 100_000 + "\n8", "-8"]
    head = [b"P5", b"P2"][int(rng.integers(2))] + b" " + " ".join(rng.choice(numbers, 3)).encode()
    return head + b"\n" + data[11:]


def lie_nifti(data: bytes, rng: Random) -> bytes:
    """Declare other dimensions, types, offsets or scales, and pack a bomb behind them."""
    packed = data[:2] == b"\x1f\x8b"
    found = bytearray(gzip.decompress(data) if packed else data)
    if found[4:7] == b"n+2":
        struct.pack_into("<8q", found, 16, 3, *(int(rng.choice([0, -1, 1, 600, 1 << 40, (1 << 63) - 1])) for _ in range(3)), 1, 1, 1, 1)
    else:
        sides = [int(rng.choice([0, -1, 1, 64, 512, 0x7FFF])) for _ in range(4)]
        struct.pack_into("<8h", found, 40, int(rng.choice([-1, 3, 4, 7, 8])), *sides, 1, 1, 1)
        code, bits = [(2, 8), (4, 16), (16, 32), (64, 64), (128, 24), (1536, 128)][int(rng.integers(6))]
        struct.pack_into("<2h", found, 70, code, bits)
        scale = [0.0, 1.0, 1e38, float("nan"), float("inf"), -2.5]
        struct.pack_into("<2f", found, 112, *rng.choice(scale, 2))
    return _gzipped_zeros(bytes(found[:352]), int(rng.choice([1 << 20, BOMB]))) if packed else bytes(found)


_NUMBERS = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PlanarConfiguration")
_TEXTS = (0x00280008, 0x00281053, 0x00281052, 0x00281050, 0x00281051, 0x00280030, 0x00200032)
"""NumberOfFrames, RescaleSlope, RescaleIntercept, WindowCenter, WindowWidth, PixelSpacing, ImagePositionPatient."""
_WORDS = ("1e400", "nan", "-inf", "9" * 16, "0", "-1", "65536", "1\\2\\3\\4", "\\" * 200, "a\0b")


def lie_dicom(data: bytes, rng: Random) -> bytes:
    """Set numbers of the header to what they can not be, nest sequences deeply, or deflate a bomb."""
    from pydicom import dcmread, uid
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    choice = int(rng.integers(8))
    if choice == 0:
        nested = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * int(rng.choice([50, 1_000, 20_000]))
        return data[:-8] + nested
    if choice == 1:
        syntax = uid.DeflatedExplicitVRLittleEndian.encode() + b"\0"
        meta = b"\x02\x00\x10\x00UI" + struct.pack("<H", len(syntax)) + syntax
        head = bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + struct.pack("<I", len(meta))
        packer = zlib.compressobj(9, wbits=-15)
        return head + meta + b"".join(packer.compress(bytes(1 << 20)) for _ in range(BOMB >> 20)) + packer.flush()
    header = dcmread(io.BytesIO(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # faulty values are planted on purpose
        for _ in range(int(rng.integers(1, 4))):
            if rng.random() < 0.6:
                setattr(header, str(rng.choice(_NUMBERS)), int(rng.choice([0, 1, 2, 7, 8, 12, 16, 32, 64, 4096, 0x8000, 0xFFFF])))
            else:
                header.add_new(_TEXTS[int(rng.integers(len(_TEXTS)))], "LO", _WORDS[int(rng.integers(len(_WORDS)))])
    if choice == 2:
        inner = Dataset()
        for _ in range(60):
            outer = Dataset()
            outer.ReferencedImageSequence = Sequence([inner])
            inner = outer
        header.ReferencedImageSequence = Sequence([inner])
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header.save_as(buffer)
    return buffer.getvalue()


def lie_json(data: bytes, rng: Random) -> bytes:
    """Nest deeply, write endless numbers, huge sides, long polygons, wrong encodings, names twice, or NaN."""
    points = ",".join(str(value) for value in rng.integers(0, 9_000, 20_000))
    ways: list[Callable[[], bytes]] = [
        lambda: b"[" * 200_000,
        lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        lambda: data.replace(b"9", b"9" * 5_000),
        lambda: data.replace(b"9", b"10000"),
        lambda: data.replace(b"9", b"9000").replace(b"[1, 1, 3, 1, 3, 4, 1, 4]", f"[{points}]".encode()),
        lambda: data.replace(b"1", b"1e999"),
        lambda: data.replace(b"1", b"NaN"),
        lambda: data.replace(b"1", b"null"),
        lambda: data.replace(b"1", b'"\\ud800"'),
        lambda: data.decode().encode(str(rng.choice(["utf-16", "utf-32", "utf-8-sig"]))),
        lambda: data.replace(b"{", b'{"id":1,"id":2,', 1),
        lambda: b"\0" * 1_000 + data,
        lambda: b"[" + b"{}," * 200_000 + b"{}]",
    ]
    return ways[int(rng.integers(len(ways)))]()


def lie_xml(data: bytes, rng: Random) -> bytes:
    """Declare entities that multiply or point at files, nest deeply, or write what is no number."""
    ways: list[Callable[[], bytes]] = [
        lambda: f"<!DOCTYPE b [{LAUGHS}]><annotation>&a9;</annotation>".encode(),
        lambda: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>',
        lambda: b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">' + data,
        lambda: f'<!DOCTYPE b [<!ENTITY a "{"x" * 100_000}">]><annotation>{"&a;" * 10_000}</annotation>'.encode(),
        lambda: b"<a>" * 200_000,
        lambda: b"<annotation>" + b"<object/>" * 200_000 + b"</annotation>",
        lambda: b"<annotation " + b" ".join(b'a%d="1"' % number for number in range(50_000)) + b"/>",
        lambda: data.replace(b">9<", b">" + b"9" * 5_000 + b"<"),
        lambda: data.replace(b">4<", b">1e999<"),
        lambda: data.replace(b">4<", b">nan<"),
        lambda: data.decode().encode(str(rng.choice(["utf-16", "utf-32", "utf-8-sig"]))),
        lambda: b'<?xml version="1.0" encoding="utf-7"?>' + data,
        lambda: data.replace(b"<name>a", b"<name>" + b"a" * 5_000_000),
    ]
    return ways[int(rng.integers(len(ways)))]()


def lie_rle(data: bytes, rng: Random) -> bytes:
    """Write endless, negative or foreign numbers."""
    words = [*data.decode().split(), "9" * 11, "9" * 50, "-1", "0", "٣", "1.5", "", "1e3"]
    return " ".join(rng.choice(words, int(rng.integers(1, 9)))).encode() * int(rng.choice([1, 1, 20_000]))


def lie_csv(data: bytes, rng: Random) -> bytes:
    """Other encodings, NULs, quotes that never end, endless fields and rows, and a bomb where the sheet is packed."""
    packed = data[:2] == b"\x1f\x8b"
    text = SHEET
    ways: list[Callable[[], bytes]] = [
        lambda: text.replace("left", "höher").encode("latin-1"),
        lambda: text.encode(str(rng.choice(["utf-16-le", "utf-16-be", "utf-32", "utf-7"]))),
        lambda: text.encode("utf-16")[:-1],
        lambda: text.replace(",", "\0").encode(),
        lambda: text.encode() + b'"' + b"a,\n" * 300_000,
        lambda: text.encode() + b"a" * 3_000_000 + b",b,c",
        lambda: text.encode() + b"," * 3_000_000,
        lambda: text.encode() + ("[" * 5_000).encode() + b",b,c\n",
        lambda: b"note\r\n" * 100 + text.encode(),
        lambda: text.encode() + bytes(BOMB >> 4),
    ]
    content = ways[int(rng.integers(len(ways)))]()
    if packed:
        return _gzipped_zeros(content, BOMB) if rng.random() < 0.1 else gzip.compress(content, compresslevel=1)
    return content


def lie_zip(data: bytes, rng: Random) -> bytes:
    """Change members of an archive: names that climb, bombs, entities, far cells, headers of arrays that lie, and doubled entries."""
    members = {entry.filename: zipfile.ZipFile(io.BytesIO(data)).read(entry) for entry in zipfile.ZipFile(io.BytesIO(data)).infolist()}
    sheet = next((name for name in members if "sheet1.xml" in name or name.endswith(".npy")), "")
    way = int(rng.integers(7))
    if way == 0:
        members |= {"../../climbed.txt": b"x", "/absolute.npy": b"x", "C:\\windows.npy": b"x"}
    elif way == 1:
        members[sheet] = members[sheet][:120] + bytes(BOMB)
    elif way == 2:
        members[sheet] = f'<?xml version="1.0"?><!DOCTYPE b [{LAUGHS}]><worksheet>&a9;</worksheet>'.encode()
    elif way == 3:
        far = str(rng.choice(["XFD1048576", "ZZZ1", "A999999999", "A-1", "A0", "AAAAAA1"])).encode()
        members[sheet] = (
            members[sheet].replace(b'r="A2"', b'r="' + far + b'"').replace(b'<row r="2"', b'<row r="%d"' % rng.choice([2, 10**9]))
        )
        members[sheet] = re.sub(rb'ref="[^"]*"', b'ref="A1:XFD1048576"', members[sheet])
    elif way == 4:
        members[sheet] = re.sub(rb"\(\d+,", b"(%d," % rng.choice([-1, 0, 1 << 20, 1 << 40, 1 << 62]), members[sheet], count=1)
    elif way == 5:
        members[sheet] = members[sheet].replace(b"'|u1'", b"'|O'").replace(b"<v>0</v>", b"<v>999999</v>")
    else:
        members = {name: damage(content, rng) if rng.random() < 0.3 else content for name, content in members.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


_LIES: dict[str, Callable[[bytes, Random], bytes]] = {
    "png": lie_png,
    "mask": lie_png,
    "tiff": lie_tiff,
    "jpeg": lie_jpeg,
    "pgm": lie_pgm,
    "nifti": lie_nifti,
    "nifti2": lie_nifti,
    "dicom": lie_dicom,
    "json": lie_json,
    "xml": lie_xml,
    "rle": lie_rle,
    "csv": lie_csv,
    "xlsx": lie_zip,
    "zip": lie_zip,
}


def lie(kind: str, data: bytes, rng: Random) -> bytes:
    """Make a file of a kind that is well-formed enough to get far, and says what can not be."""
    return _LIES[kind.removesuffix("16").split()[0]](data, rng)
