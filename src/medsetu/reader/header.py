# SPDX-License-Identifier: Apache-2.0
"""Single elements of a DICOM header as numbers and words; a broken number is refused, its text never repeated."""

import math
import re
from collections.abc import Iterable
from typing import Final

from pydicom.dataset import Dataset

from medsetu.core.sample import VIEWS, age_in_years, sex_letter
from medsetu.reader.guard import Unreadable

_VIEW_CODES: Final = {
    "399348003": "AP",
    "R-10206": "AP",
    "272479007": "PA",
    "R-10214": "PA",
    "R-40888": "PA",
    "399067008": "LL",
    "R-102CD": "LL",
    "399173006": "LL",
    "399198007": "LL",
    "R-10232": "LL",
    "R-10236": "LL",
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
}
"""SNOMED CT and SNOMED RT codes of PS3.16 CID 4010 and CID 4014."""

_VIEW_WORDS: Final = {"LATERAL": "LL", "LAT": "LL", "RL": "LL", "LL": "LL"}
_CODE_STRING: Final = re.compile(r"[A-Z0-9_ ]{1,16}")


def values(header: Dataset, keyword: str) -> list[object]:
    """Values of an element as a list; empty when the element is absent or empty.

    Args:
        header: The data set.
        keyword: DICOM keyword.

    Returns:
        The values, in order.

    Example:
        >>> header = Dataset()
        >>> header.WindowCenter = [40, 450]
        >>> len(values(header, "WindowCenter")), values(header, "WindowWidth")
        (2, [])
    """
    value = header.get(keyword)
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]


def number(header: Dataset, keyword: str) -> float | None:
    """First value of a numeric element.

    Args:
        header: The data set.
        keyword: DICOM keyword.

    Returns:
        A finite number, or None when the element is absent or empty.

    Raises:
        Unreadable: When it is no number, or NaN or infinite: pydicom accepts these.

    Example:
        >>> header = Dataset()
        >>> header.RescaleSlope = "2.5"
        >>> number(header, "RescaleSlope"), number(header, "RescaleIntercept")
        (2.5, None)
    """
    try:
        found = values(header, keyword)
        value = float(str(found[0])) if found else None
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise Unreadable(expected=f"a finite number in {keyword}", found="another value")
    return value


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """All values of a numeric element of fixed length.

    Args:
        header: The data set.
        keyword: DICOM keyword.
        count: How many there must be.

    Returns:
        Finite numbers, or None when the element is absent or empty.

    Raises:
        Unreadable: When there are more or fewer, or one is no finite number.

    Example:
        >>> header = Dataset()
        >>> header.ImagePositionPatient = [-1, 2.5, 3]
        >>> numbers(header, "ImagePositionPatient", 3), numbers(header, "PixelSpacing", 2)
        ((-1.0, 2.5, 3.0), None)
    """
    found = values(header, keyword)
    try:
        given = tuple(float(str(value)) for value in found)
    except (TypeError, ValueError, OverflowError):
        given = ()
    if found and (len(given) != count or not all(map(math.isfinite, given))):
        raise Unreadable(expected=f"{count} finite numbers in {keyword}", found="other values")
    return given if found else None


def whole(header: Dataset, keyword: str) -> int:
    """First value of a required whole number.

    Raises:
        Unreadable: When it is absent, or no whole number.

    Example:
        >>> header = Dataset()
        >>> header.Rows = 512
        >>> whole(header, "Rows")
        512
    """
    value = number(header, keyword)
    if value is None or not value.is_integer():
        raise Unreadable(expected=f"a whole number in {keyword}", found="another value" if value is not None else "nothing")
    return int(value)


def word(header: Dataset, keyword: str) -> str:
    """First value of a code string in upper case; empty when it is absent or no code string.

    Example:
        >>> header = Dataset()
        >>> header.Modality = "DX"
        >>> word(header, "Modality")
        'DX'
    """
    found = values(header, keyword)
    text = str(found[0]).strip().upper() if found else ""
    return text if _CODE_STRING.fullmatch(text) else ""


def view(header: Dataset) -> str:
    """Projection: ViewPosition (0018,5101), else ViewCodeSequence (0054,0220), as one of ``core.sample.VIEWS``.

    Example:
        >>> header = Dataset()
        >>> header.ViewPosition = "LATERAL"
        >>> view(header)
        'LL'
    """
    text = word(header, "ViewPosition")
    text = _VIEW_WORDS.get(text, text)
    if text:
        return text if text in VIEWS else ""
    codes = (str(item.get("CodeValue", "")) for item in header.get("ViewCodeSequence") or ())
    return next((_VIEW_CODES[code] for code in codes if code in _VIEW_CODES), "")


def laterality(header: Dataset) -> str:
    """Side: ImageLaterality (0020,0062), else Laterality (0020,0060): L, R, B, or empty when unknown.

    Example:
        >>> laterality(Dataset())
        ''
    """
    text = word(header, "ImageLaterality") or word(header, "Laterality")
    return text if text in ("L", "R", "B") else ""


def age(header: Dataset) -> float:
    """PatientAge (0010,1010) in years; NaN when unknown.

    Example:
        >>> age(Dataset())
        nan
    """
    return age_in_years("".join(map(str, values(header, "PatientAge")[:1])))


def sex(header: Dataset) -> str:
    """PatientSex (0010,0040): M, F, O, or empty when unknown.

    Example:
        >>> sex(Dataset())
        ''
    """
    return sex_letter(word(header, "PatientSex"))


def device(header: Dataset) -> str:
    """Manufacturer and model, in lower case and without punctuation, so that spellings of one device agree.

    Example:
        >>> header = Dataset()
        >>> header.Manufacturer, header.ManufacturerModelName = "FUJI PHOTO FILM CO. LTD.", "IRS"
        >>> device(header)
        'fuji photo film co ltd irs'
    """
    parts = (str(part) for keyword in ("Manufacturer", "ManufacturerModelName") for part in values(header, keyword)[:1])
    return " ".join(re.findall(r"\w+", " ".join(parts).lower()))


def spacing(header: Dataset) -> tuple[float, tuple[str, ...]]:
    """Distance of pixel centres: PixelSpacing (0028,0030), else ImagerPixelSpacing (0018,1164), which lies in the detector plane.

    Args:
        header: The data set.

    Returns:
        Geometric mean of row and column spacing in mm, NaN when the file does not say; and the steps to record.

    Raises:
        Unreadable: When a spacing is not positive and finite, or stands alone.

    Example:
        >>> header = Dataset()
        >>> header.ImagerPixelSpacing = [0.2, 0.2]
        >>> spacing(header)
        (0.2, ('spacing of the detector plane',))
    """
    for keyword, step in (("PixelSpacing", ()), ("ImagerPixelSpacing", ("spacing of the detector plane",))):
        try:
            found = [float(str(value)) for value in values(header, keyword)]
        except (TypeError, ValueError, OverflowError):
            found = [math.nan]
        if not found:
            continue
        if len(found) != 2 or not all(0 < value < math.inf for value in found):
            raise Unreadable(expected=f"two positive numbers in {keyword}", found="other values")
        rows, columns = found
        uneven = () if math.isclose(rows, columns, rel_tol=1e-3) else ("pixels are not square",)
        return (rows if not uneven else math.sqrt(rows * columns)), step + uneven
    return math.nan, ()
