# SPDX-License-Identifier: Apache-2.0
"""Pascal VOC XML, read event by event: documents that declare a type or an entity are refused, so that no bomb can be written in one."""

from xml.parsers import expat

from medsetu.reader.annotation import Drawing, Shape, edges_of
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.picture import check_size
from medsetu.reader.workbook import refuse_declaration

MAX_BYTES = 1 << 24
MAX_DEPTH = 32
_BOX = ("xmin", "ymin", "xmax", "ymax")


class _Events:
    """Texts of a document by their path, in order."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._path: list[str] = []
        self._text: list[str] = []

    def start(self, name: str, _: dict[str, str]) -> None:
        self._path.append(name)
        self._text = []
        if len(self._path) > MAX_DEPTH:
            raise Unreadable(expected=f"at most {MAX_DEPTH} nested elements", found="more")
        self.found.append(("/".join(self._path), ""))

    def text(self, part: str) -> None:
        self._text.append(part)

    def end(self, _: str) -> None:
        self.found.append(("/".join(self._path) + "/", "".join(self._text).strip()))
        self._text = []
        self._path.pop()


def _parse(data: bytes) -> list[tuple[str, str]]:
    """Path of every element as it begins, and path with a slash and text as it ends."""
    if len(data) > MAX_BYTES:
        raise Unreadable(expected=f"at most {MAX_BYTES} bytes of XML", found=f"{len(data)}")
    events, parser = _Events(), expat.ParserCreate()
    parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = events.start, events.text, events.end
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse_declaration
    try:
        parser.Parse(data, True)  # noqa: FBT003  (expat takes no keywords)
    except expat.ExpatError:
        events.found = []
    if not events.found:
        raise Unreadable(expected="well-formed XML", found="something else")
    return events.found


@guarded("VOC")
def read_voc(data: bytes, *, first_pixel: int = 1, sample_id: str = "") -> Drawing:
    """Read the boxes of one image.

    VOC counts pixels from 1 and its last pixel belongs to the box, so the edges are xmin - 1 to xmax. Many tools write counts from 0 under
    the same names: say so by ``first_pixel``.

    Args:
        data: The file.
        first_pixel: Number of the first pixel, 1 or 0.
        sample_id: Named in errors.

    Returns:
        The drawing; ``pose``, ``difficult`` and the like are not kept.

    Raises:
        DataError: For broken XML, declared types or entities, missing sizes, and boxes without area.
    """
    del sample_id  # used by the guard
    size: dict[str, str] = {}
    shapes: list[Shape] = []
    current: dict[str, str] = {}
    for path, text in _parse(data):
        parts = path.split("/")
        if parts == ["annotation", "object"]:
            current = {}
        elif parts == ["annotation", "object", ""]:
            shapes.append(_shape(current, first_pixel))
        elif (
            parts[:2] == ["annotation", "object"] and parts[-1] == "" and len(parts) in (4, 5) and (len(parts) == 4 or parts[2] == "bndbox")
        ):
            current |= {parts[-2]: text} if parts[-1] == "" else {}
        elif parts[:2] == ["annotation", "size"] and len(parts) == 4:
            size[parts[2]] = text
    height, width = int(size.get("height", "0")), int(size.get("width", "0"))
    check_size(height, width)
    return Drawing(height, width, tuple(shapes))


def _shape(found: dict[str, str], first_pixel: int) -> Shape:
    missing = [name for name in ("name", *_BOX) if not found.get(name)]
    if missing:
        raise Unreadable(expected=f"{missing[0]} of every object", found="an object without it")
    shift = 1 - first_pixel
    return Shape(found["name"], edges_of([float(found[name]) + shift for name in _BOX], form="voc"))
