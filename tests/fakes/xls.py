# SPDX-License-Identifier: Apache-2.0
"""Workbooks of Excel 97 to 2003 by hand: the record stream alone, which readers take without the container around it (BIFF8)."""

import struct
from collections.abc import Sequence
from datetime import date
from pathlib import Path

_GLOBALS, _SHEET = 0x0005, 0x0010
_DAY_ZERO = date(1899, 12, 30)


def write_xls(
    path: Path, sheets: dict[str, Sequence[Sequence[object]]], *, author: str = "", hidden: Sequence[str] = (), notes: int = 0
) -> Path:
    """Write sheets of text, numbers and dates; ``notes`` cells of the first sheet have a comment."""
    head = _begin(_GLOBALS) + _record(0x5C, _text(author, "<H").ljust(112)) + _record(0xE0, _format(0)) + _record(0xE0, _format(14))
    bodies = [_body(rows, notes if number == 0 else 0) for number, rows in enumerate(sheets.values())]
    tail = _record(0x0A, b"")
    bound = [struct.pack("<IBB", 0, name in hidden, 0) + _text(name, "<B") for name in sheets]
    offset = len(head) + sum(len(_record(0x85, entry)) for entry in bound) + len(tail)
    entries = b""
    for entry, body in zip(bound, bodies, strict=True):
        entries += _record(0x85, struct.pack("<I", offset) + entry[4:])
        offset += len(body)
    path.write_bytes(head + entries + tail + b"".join(bodies))
    return path


def _body(rows: Sequence[Sequence[object]], notes: int) -> bytes:
    told = _begin(_SHEET)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            place = struct.pack("<HH", row, column)
            if isinstance(cell, date):
                told += _record(0x0203, place + struct.pack("<Hd", 1, (cell - _DAY_ZERO).days))
            elif isinstance(cell, int | float):
                told += _record(0x0203, place + struct.pack("<Hd", 0, cell))
            elif cell is not None:
                told += _record(0x0204, place + struct.pack("<H", 0) + _text(str(cell), "<H"))
    for number in range(notes):
        told += _record(0x5D, struct.pack("<HHHHH", 0x15, 18, 0x19, number + 1, 0) + bytes(12 + 4)) + _record(0x1B6, bytes(18))
        told += _record(0x1C, struct.pack("<HHHH", number, 0, 0, number + 1) + _text("", "<H") + b"\0")
    return told + _record(0x0A, b"")


def _begin(kind: int) -> bytes:
    return _record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0x0DBB, 0x07CC, 0, 0x0600))


def _format(key: int) -> bytes:
    return struct.pack("<HHH", 0, key, 1) + bytes(14)


def _text(text: str, length: str) -> bytes:
    return struct.pack(length, len(text)) + b"\1" + text.encode("utf-16-le")


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data
