# SPDX-License-Identifier: Apache-2.0
"""Header elements become numbers and words of the vocabulary, or are refused."""

import math
import warnings

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from fakes.dicom import dataset
from medsetu.reader import header as element
from medsetu.reader.guard import Unreadable


def header(**elements: object) -> Dataset:
    return dataset(np.zeros((2, 2), np.uint8), bits=8, **elements)


def coded(value: str) -> Sequence:
    item = Dataset()
    item.CodeValue = value
    return Sequence([item])


@pytest.mark.parametrize("value", ["NaN", "inf", "-inf", "1e400"])
def test_numbers_that_pydicom_accepts_and_we_do_not(value: str) -> None:
    with pytest.raises(Unreadable, match="finite number in RescaleSlope"):
        element.number(header(RescaleSlope=value), "RescaleSlope")


def test_zero_is_a_number_and_absent_is_none() -> None:
    assert element.number(header(RescaleIntercept="0"), "RescaleIntercept") == 0
    assert element.number(header(), "RescaleIntercept") is None
    assert element.number(header(WindowCenter=""), "WindowCenter") is None


@pytest.mark.parametrize("keyword", ["NumberOfFrames", "RescaleSlope"])
def test_whole_numbers_are_required_whole(keyword: str) -> None:
    with pytest.raises(Unreadable):
        element.whole(header(RescaleSlope="1.5"), keyword)


@pytest.mark.parametrize(
    ("position", "code", "view"),
    [
        ("PA", None, "PA"),
        ("ap", None, "AP"),
        ("LATERAL", None, "LL"),
        ("MLO", "399162004", "MLO"),
        (None, "399162004", "CC"),
        (None, "R-10226", "MLO"),
        ("", "399348003", "AP"),
        ("OBLIQUE", None, ""),
        (None, "000", ""),
        (None, None, ""),
    ],
)
def test_view(position: str | None, code: str | None, view: str) -> None:
    elements: dict[str, object] = {} if position is None else {"ViewPosition": position}
    if code is not None:
        elements["ViewCodeSequence"] = coded(code)
    assert element.view(header(**elements)) == view


@pytest.mark.parametrize(
    ("elements", "side"),
    [
        ({"ImageLaterality": "L"}, "L"),
        ({"Laterality": "R"}, "R"),
        ({"ImageLaterality": "L", "Laterality": "R"}, "L"),
        ({"Laterality": "U"}, ""),
        ({}, ""),
    ],
)
def test_laterality(elements: dict[str, object], side: str) -> None:
    assert element.laterality(header(**elements)) == side


@pytest.mark.parametrize(("text", "years"), [("045Y", 45), ("006M", 0.5), ("", math.nan), ("414Y", math.nan), ("old", math.nan)])
def test_age(text: str, years: float) -> None:
    np.testing.assert_equal(element.age(header(PatientAge=text)), years)


@pytest.mark.parametrize(("text", "sex"), [("M", "M"), ("F", "F"), ("O", "O"), ("", ""), ("X", "")])
def test_sex(text: str, sex: str) -> None:
    assert element.sex(header(PatientSex=text)) == sex


def test_spellings_of_one_device_agree() -> None:
    one = element.device(header(Manufacturer="SIEMENS ", ManufacturerModelName="Axiom-Aristos  FX"))
    two = element.device(header(Manufacturer="Siemens", ManufacturerModelName="AXIOM Aristos FX."))
    assert one == two == "siemens axiom aristos fx"
    assert element.device(header()) == ""


def test_spacing_prefers_the_object_plane_and_records_the_detector_plane() -> None:
    both = header(PixelSpacing=[0.14, 0.14], ImagerPixelSpacing=[0.2, 0.2])
    assert element.spacing(both) == (0.14, ())
    assert element.spacing(header(ImagerPixelSpacing=[0.2, 0.2])) == (0.2, ("spacing of the detector plane",))
    uneven, steps = element.spacing(header(PixelSpacing=[0.1, 0.4]))
    assert uneven == pytest.approx(0.2)
    assert steps == ("pixels are not square",)
    assert math.isnan(element.spacing(header())[0])


@pytest.mark.parametrize("value", [[0, 0.1], [-0.1, 0.1], ["NaN", 0.1], ["inf", "inf"], [0.1], [0.1, 0.1, 0.1]])
def test_impossible_spacing_is_refused(value: list[object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = header(PixelSpacing=value)
    with pytest.raises(Unreadable, match="PixelSpacing"):
        element.spacing(ds)
