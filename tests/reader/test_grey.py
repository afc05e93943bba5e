# SPDX-License-Identifier: Apache-2.0
"""The grey pipeline: modality, VOI, inversion, scale; in this order, by declared ranges only."""

import warnings

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from fakes.dicom import dataset, lut
from medsetu.reader.grey import Coding, coding_of, grey_table, window
from medsetu.reader.guard import Unreadable

CODES = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def table_of(bits: int = 12, **elements: object) -> np.ndarray:
    return grey_table(header(bits, **elements), Coding(bits=bits, signed=False))[0]


def header(bits: int = 12, **elements: object) -> Dataset:
    return dataset(CODES, bits=bits, **elements)


# --- windows, PS3.3 C.11.2.1.2


def test_linear_window_follows_the_standard() -> None:
    """The worked example of PS3.3 C.11.2.1.2.1: c=2048, w=4096 on 12 bits is the identity."""
    np.testing.assert_allclose(window(np.arange(4096.0), 2048, 4096), np.arange(4096) / 4095, atol=1e-12)


def test_linear_window_of_width_one_is_a_step() -> None:
    assert window(np.array([4.0, 4.5, 4.6, 5.0]), 5, 1).tolist() == [0, 0, 1, 1]


def test_exact_window_differs_by_half_a_value() -> None:
    assert window(np.array([0.0, 50.0, 100.0]), 50, 100, function="LINEAR_EXACT").tolist() == [0, 0.5, 1]
    assert window(np.array([0.0]), 50, 0.5, function="LINEAR_EXACT").tolist() == [0]


def test_sigmoid_window_follows_the_standard() -> None:
    values = np.array([-1e9, 0.0, 40.0, 90.0, 1e9])
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-4 * (values - 40) / 100))
    np.testing.assert_allclose(window(values, 40, 100, function="SIGMOID"), expected, atol=1e-12)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("width", [0.0, -1.0])
def test_impossible_widths_are_refused(function: str, width: float) -> None:
    with pytest.raises(Unreadable, match="width"):
        window(np.zeros(2), 0, width, function=function)


def test_linear_needs_a_width_of_one() -> None:
    with pytest.raises(Unreadable):
        window(np.zeros(2), 0, 0.5)


def test_unknown_function_is_refused_without_repeating_it() -> None:
    with pytest.raises(Unreadable) as caught:
        grey_table(header(WindowCenter="5", WindowWidth="5", VOILUTFunction="ZZSENTINEL"), Coding(12, signed=False))
    assert "ZZ" not in str(caught.value)


@pytest.mark.parametrize("elements", [{"WindowCenter": "5"}, {"WindowWidth": "5"}, {"WindowCenter": "NaN", "WindowWidth": "5"}])
def test_half_a_window_is_refused(elements: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        grey_table(header(**elements), Coding(12, signed=False))


def test_first_of_several_windows_is_taken_and_recorded() -> None:
    table, steps = grey_table(header(WindowCenter=["2048", "10"], WindowWidth=["4096", "5"]), Coding(12, signed=False))
    np.testing.assert_allclose(table, np.arange(4096) / 4095, atol=1e-6)
    assert steps == ("window LINEAR centre 2048 width 4096 (first of 2)",)


def test_empty_window_counts_as_none() -> None:
    assert grey_table(header(WindowCenter="", WindowWidth=""), Coding(12, signed=False))[1] == ("scaled by stored range 0 to 4095",)


# --- modality


@pytest.mark.parametrize("slope", ["0", "NaN", "inf", "1e308", "1e-330"])
def test_slopes_that_keep_nothing_apart_are_refused(slope: str) -> None:
    with pytest.raises(Unreadable):
        grey_table(header(RescaleSlope=slope, RescaleIntercept="0"), Coding(12, signed=False))


def test_rescale_without_window_uses_the_mapped_ends() -> None:
    """Slope and intercept alone change nothing: the ends of the stored range move along."""
    np.testing.assert_allclose(table_of(RescaleSlope="2", RescaleIntercept="-1024"), table_of(), atol=1e-6)


def test_negative_slope_turns_dark_into_bright() -> None:
    np.testing.assert_allclose(table_of(RescaleSlope="-1", RescaleIntercept="4095"), 1 - table_of(), atol=1e-6)


def test_modality_lut_takes_the_place_of_rescale() -> None:
    sequence = lut([0, 100, 200, 255], first=1, bits=8)
    table, steps = grey_table(header(ModalityLUTSequence=sequence, RescaleSlope="7", RescaleIntercept="7"), Coding(12, signed=False))
    np.testing.assert_allclose(table[:6] * 255, [0, 0, 100, 200, 255, 255], atol=1e-4)
    assert steps == ("modality LUT", "scaled by stored range 0 to 255")


# --- lookup tables


def test_lut_of_a_full_range_has_a_zero_count() -> None:
    sequence = lut([0], first=0, bits=16)
    sequence[0].LUTDescriptor = [0, 0, 16]  # 2 ** 16 entries do not fit into the descriptor
    sequence[0].LUTData = np.arange(65536, dtype="<u2").tobytes()
    table, _ = grey_table(dataset(CODES, bits=16, VOILUTSequence=sequence), Coding(16, signed=False))
    np.testing.assert_allclose(table, np.arange(65536) / 65535, atol=1e-6)


def test_eight_bit_lut_may_be_packed() -> None:
    sequence = lut([0, 0, 0], first=0, bits=8)
    sequence[0].LUTData = bytes([0, 51, 255, 0])  # three entries, padded to an even length
    np.testing.assert_allclose(table_of(VOILUTSequence=sequence)[:4], [0, 0.2, 1, 1], atol=1e-6)


def test_lut_may_start_below_zero() -> None:
    voi = lut([0, 128, 255], first=-1, bits=8)
    table, _ = grey_table(header(RescaleSlope="1", RescaleIntercept="-10", VOILUTSequence=voi), Coding(12, signed=False))
    np.testing.assert_allclose(table[[0, 9, 10, 11, 12]] * 255, [0, 0, 128, 255, 255], atol=1e-4)


@pytest.mark.parametrize(
    ("entries", "descriptor"),
    [([0, 1], [5, 0, 8]), ([0, 256], [2, 0, 8]), ([0, 1], [2, 0, 7]), ([0, 1], [2, 0, 17]), ([0, 1], [2, 0])],
)
def test_broken_luts_are_refused(entries: list[int], descriptor: list[int]) -> None:
    sequence = lut(entries, first=0, bits=8)
    sequence[0].LUTDescriptor = descriptor
    with pytest.raises(Unreadable, match="VOILUTSequence"):
        table_of(VOILUTSequence=sequence)


def test_lut_without_data_is_refused() -> None:
    sequence = lut([0, 1], first=0, bits=8)
    del sequence[0].LUTData
    with pytest.raises(Unreadable):
        table_of(VOILUTSequence=sequence)


def test_voi_lut_is_preferred_to_a_window() -> None:
    steps = grey_table(header(VOILUTSequence=lut([0, 255], first=0, bits=8), WindowCenter="5", WindowWidth="5"), Coding(12, signed=False))[
        1
    ]
    assert steps == ("VOI LUT",)


# --- inversion and padding


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),  # two names of one inversion, not two inversions
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_at_most_one_inversion(photometric: str, shape: str | None, inverted: bool) -> None:
    elements = {"PhotometricInterpretation": photometric} | ({"PresentationLUTShape": shape} if shape else {})
    table, steps = grey_table(header(**elements), Coding(12, signed=False))
    assert (table[0], table[-1]) == ((1, 0) if inverted else (0, 1))
    assert any(step.startswith("inverted") for step in steps) is inverted
    contradiction = (photometric, shape) in {("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE")}
    assert any("against" in step for step in steps) is contradiction


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_either_way_round(photometric: str) -> None:
    ds = header(PhotometricInterpretation=photometric)
    ds.add_new("PixelPaddingValue", "US", 4000)
    ds.add_new("PixelPaddingRangeLimit", "US", 4095)
    table, steps = grey_table(ds, Coding(12, signed=False))
    assert (table[4000:] == 0).all()
    assert table[3999] != 0
    assert steps[-1] == "padding to black"


def test_padding_beyond_the_stored_range_touches_nothing() -> None:
    ds = header()
    ds.add_new("PixelPaddingValue", "US", 65535)
    table, steps = grey_table(ds, Coding(12, signed=False))
    assert table[4095] == 1
    assert "padding to black" not in steps


@pytest.mark.parametrize(("representation", "value"), [("SS", -2000), ("US", 63536)])
def test_padding_of_signed_pixels_is_understood_in_both_spellings(representation: str, value: int) -> None:
    ds = header()
    ds.add_new("PixelPaddingValue", representation, value)
    table, _ = grey_table(ds, Coding(14, signed=True))
    assert table[-2000 & 0x3FFF] == 0
    assert table[-1999 & 0x3FFF] > 0


# --- the whole, against pydicom


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_table_agrees_with_pydicom(signed: bool, function: str) -> None:
    pixels = CODES.astype(np.int16) - 2048 if signed else CODES
    ds = dataset(
        pixels, bits=12, RescaleSlope="1.5", RescaleIntercept="-100", WindowCenter="700", WindowWidth="1800", VOILUTFunction=function
    )
    coding = coding_of(ds)
    table, _ = grey_table(ds, coding)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = apply_voi_lut(apply_modality_lut(pixels, ds), ds)
    low, high = (1.5 * end - 100 for end in coding.span)  # pydicom maps windows onto the range of the rescaled values
    np.testing.assert_allclose(table[pixels & 0xFFF], (expected - low) / (high - low), atol=1e-6)


@pytest.mark.parametrize(
    "elements",
    [
        {"BitsAllocated": 32},
        {"BitsAllocated": 1},
        {"BitsStored": 0},
        {"BitsStored": 17},
        {"HighBit": 15},
        {"PixelRepresentation": 2},
        {"BitsStored": None},
    ],
)
def test_impossible_codings_are_refused(elements: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        coding_of(header(**elements))
