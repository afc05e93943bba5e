# SPDX-License-Identifier: Apache-2.0
"""DICOM: the intensity traps T22 to T25, every transfer syntax that can be written here, facts, and refusals."""

import io
import logging
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from fakes.dicom import BY_GDCM, BY_PYDICOM, DX_PROCESSING, NATIVE, SENTINEL, dataset, lut, to_bytes
from medsetu.core.errors import DataError
from medsetu.reader import dicom
from medsetu.reader.dicom import is_dicom, read_dicom
from medsetu.reader.picture import Picture

SHAPE = (40, 64)
PHANTOM = np.hypot(*np.meshgrid(np.linspace(-1, 1, SHAPE[1]), np.linspace(-1, 1, SHAPE[0]))) / np.sqrt(2)
"""A smooth phantom in [0, 1], bright at the rim."""


def stored(bits: int, *, signed: bool = False, picture: NDArray[np.float64] = PHANTOM) -> NDArray[np.integer]:
    values = np.rint(picture * ((1 << bits) - 1)).astype(np.int64) - ((1 << (bits - 1)) if signed else 0)
    return values.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")


def read(ds: Dataset, syntax: str = uid.ExplicitVRLittleEndian) -> Picture:
    return read_dicom(to_bytes(ds, syntax), sample_id="site/film.dcm")


# --- traps


@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("shape", [None, "INVERSE"])
def test_t22_photometric_pair_is_equal(windowed: bool, bits: int, shape: str | None) -> None:
    """One phantom stored as MONOCHROME1 and as MONOCHROME2 reads to equal arrays, with and without a window."""
    top = (1 << bits) - 1
    values = stored(bits)
    center, width = 0.6 * top, 0.5 * top
    positive = {"WindowCenter": f"{center:.2f}", "WindowWidth": f"{width:.2f}"} if windowed else {}
    negative = {"WindowCenter": f"{top + 1 - center:.2f}", "WindowWidth": f"{width:.2f}"} if windowed else {}
    if shape:
        negative["PresentationLUTShape"] = shape
    two = read(dataset(values, bits=bits, PhotometricInterpretation="MONOCHROME2", **positive))
    one = read(dataset((top - values).astype(values.dtype), bits=bits, PhotometricInterpretation="MONOCHROME1", **negative))
    np.testing.assert_allclose(one.pixels, two.pixels, atol=2e-6)
    assert one.facts.color_mode == "MONOCHROME1"


def test_t23_reader_order() -> None:
    """Modality LUT, then VOI LUT, then inversion, then scale; a VOI LUT wider than the stored bits neither raises nor saturates."""
    values = np.array([[0, 1, 2, 3]], np.uint8)
    modality = lut([10, 11, 12, 13], first=0, bits=8)
    voi = lut([0, 0x2000, 0x8000, 0xFFFF], first=10, bits=16)
    ds = dataset(values, bits=2, PhotometricInterpretation="MONOCHROME1", ModalityLUTSequence=modality, VOILUTSequence=voi)
    picture = read(ds)
    np.testing.assert_allclose(picture.pixels[0], 1 - np.array([0, 0x2000, 0x8000, 0xFFFF]) / 0xFFFF, atol=1e-6)
    assert picture.facts.steps == ("modality LUT", "VOI LUT", "inverted (MONOCHROME1)")


@pytest.mark.parametrize("windowed", [False, True])
def test_t24_bit_depth_is_invisible(windowed: bool) -> None:
    """One phantom at 8, 10, 12, 14 and 16 bits gives one array."""
    exact = np.rint(PHANTOM * 3) / 3  # thirds exist exactly at every even depth
    for phantom, tolerance in ((exact, 1e-6), (PHANTOM, 0.5 / 255 + 1e-6)):
        for bits in (8, 10, 12, 14, 16):
            span = (1 << bits) - 1
            window = {"WindowCenter": f"{span / 2}", "WindowWidth": f"{span}", "VOILUTFunction": "LINEAR_EXACT"} if windowed else {}
            picture = read(dataset(stored(bits, picture=phantom), bits=bits, **window))
            np.testing.assert_allclose(picture.pixels, phantom, atol=tolerance)
            assert picture.facts.bits == bits


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_t25_scale_is_declared(photometric: str) -> None:
    """A bright marker does not darken the breast, a dark one does not brighten it."""
    breast = np.full(SHAPE, 0.4)
    marked = breast.copy()
    marked[:4, :4], marked[-4:, -4:] = 1.0, 0.0
    plain = read(dataset(stored(12, picture=breast), bits=12, PhotometricInterpretation=photometric))
    with_marker = read(dataset(stored(12, picture=marked), bits=12, PhotometricInterpretation=photometric))
    np.testing.assert_array_equal(plain.pixels[10:30], with_marker.pixels[10:30])


# --- transfer syntaxes

LOSSLESS = (*NATIVE, *BY_GDCM[2:5], *BY_PYDICOM)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
def test_lossless_syntaxes_agree_exactly(syntax: str, signed: bool, bits: int) -> None:
    values = stored(bits, signed=signed)
    window = {"WindowCenter": "40", "WindowWidth": "1000", "RescaleSlope": "1", "RescaleIntercept": "-100"}
    expected = read(dataset(values, bits=bits, **window))
    picture = read(dataset(values, bits=bits, **window), syntax)
    np.testing.assert_array_equal(picture.pixels, expected.pixels)
    assert picture.facts.steps[:2] == expected.facts.steps  # gdcm writes a detector spacing of its own


@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless], ids=lambda syntax: syntax.name)
def test_lossy_syntaxes_are_close(syntax: str) -> None:
    values = stored(8)
    np.testing.assert_allclose(read(dataset(values, bits=8), syntax).pixels, PHANTOM, atol=3 / 255)


def test_lossy_jpeg_2000_is_close() -> None:
    ds = dataset(stored(12), bits=12)
    ds.compress(uid.JPEG2000, j2k_psnr=[70], generate_instance_uid=False)
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    np.testing.assert_allclose(read_dicom(buffer.getvalue()).pixels, PHANTOM, atol=0.01)


def test_twelve_bit_lossy_jpeg_is_refused() -> None:
    """No permissively licensed decoder reads it; a wrong picture would be worse."""
    with pytest.raises(DataError):
        read(dataset(stored(12), bits=12), uid.JPEGExtended12Bit)


def test_other_syntaxes_are_refused() -> None:
    ds = dataset(stored(8), bits=8)
    data = to_bytes(ds).replace(uid.ExplicitVRLittleEndian.encode() + b"\0", b"1.2.840.10008.1.9\0 "[:20].ljust(20, b"\0"), 1)
    with pytest.raises(DataError, match="transfer syntax"):
        read_dicom(data)


def test_a_missing_preamble_and_missing_meta_are_no_obstacle() -> None:
    ds = dataset(stored(12), bits=12)
    expected = read(ds).pixels
    for implicit in (True, False):
        buffer = io.BytesIO()
        ds.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        ds.save_as(buffer, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        data = buffer.getvalue()
        bare = data[data.index(b"\x08\x00\x16\x00") :]
        assert is_dicom(bare)
        np.testing.assert_array_equal(read_dicom(bare).pixels, expected)


def test_pixels_are_contiguous_floats_in_the_unit_interval() -> None:
    for syntax in (uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.JPEGLSLossless):
        pixels = read(dataset(stored(12, signed=True), bits=12), syntax).pixels
        assert pixels.dtype == np.float32
        assert pixels.flags.c_contiguous
        assert pixels.flags.writeable
        assert 0 <= pixels.min() <= pixels.max() <= 1


def test_overlay_bits_are_masked_away() -> None:
    values = stored(12)
    ds = dataset(values | np.uint16(0x8000), bits=12)
    with pytest.raises(DataError, match="beyond"):
        read(ds)
    ds.add_new((0x6000, 0x0102), "US", 15)
    picture = read(ds)
    np.testing.assert_allclose(picture.pixels, values / 4095, rtol=1e-6)
    assert picture.facts.steps[-1] == "overlay bits masked"


# --- facts


def test_facts_come_from_the_header() -> None:
    code = Dataset()
    code.CodeValue = "399368009"
    ds = dataset(
        stored(12),
        bits=12,
        Modality="MG",
        ViewCodeSequence=Sequence([code]),
        ImageLaterality="L",
        PatientAge="045Y",
        PatientSex="F",
        Manufacturer="HOLOGIC, Inc.",
        ManufacturerModelName="Selenia Dimensions",
        ImagerPixelSpacing=[0.07, 0.07],
        WindowCenter=["2048", "1000"],
        WindowWidth=["4096", "10"],
        VOILUTFunction="SIGMOID",
    )
    facts = read(ds).facts
    assert (facts.file_format, facts.color_mode, facts.height, facts.width, facts.bits) == ("dicom", "MONOCHROME2", *SHAPE, 12)
    assert (facts.modality, facts.view, facts.laterality, facts.sex, facts.age_years) == ("MG", "MLO", "L", "F", 45.0)
    assert (facts.device, facts.spacing_mm) == ("hologic inc selenia dimensions", 0.07)
    assert facts.steps == ("window SIGMOID centre 2048 width 4096 (first of 2)", "spacing of the detector plane")
    assert facts.file_bytes == len(to_bytes(ds))


def test_unknown_facts_are_nan_or_empty_never_zero() -> None:
    facts = read(dataset(stored(8), bits=8, Modality=None)).facts
    assert np.isnan(facts.spacing_mm)
    assert np.isnan(facts.age_years)
    assert (facts.modality, facts.view, facts.laterality, facts.sex, facts.device) == ("", "", "", "", "")


# --- refusals


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"PresentationIntentType": "FOR PROCESSING"}, "for processing"),
        ({"SOPClassUID": DX_PROCESSING}, "for processing"),
        ({"PixelData": None}, "without it"),
        ({"NumberOfFrames": "2"}, "2 frames"),
        ({"NumberOfFrames": "0"}, "0 frames"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "MONOCHROME2"}, "grey, RGB, YBR or palette"),
        ({"SamplesPerPixel": 4, "PhotometricInterpretation": "RGB"}, "4 samples"),
        ({"PhotometricInterpretation": "HSV"}, "grey, RGB, YBR or palette"),
        ({"PhotometricInterpretation": None}, "grey, RGB, YBR or palette"),
        ({"Rows": 0}, "0 x 64"),
        ({"Rows": None}, "whole number in Rows"),
        ({"Rows": 60000, "Columns": 60000}, "60000 x 60000"),
        ({"Rows": 4000}, "intact file"),
        ({"BitsAllocated": 32}, "8 or 16 bits"),
        ({"HighBit": 15}, "high bit 15"),
        ({"BitsStored": 10, "HighBit": 9}, "beyond"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "slope 0"),
        ({"RescaleSlope": "NaN", "RescaleIntercept": "0"}, "RescaleSlope"),
        ({"RescaleSlope": "1", "RescaleIntercept": "inf"}, "RescaleIntercept"),
        ({"WindowCenter": "40", "WindowWidth": "0"}, "window width"),
        ({"WindowCenter": "40", "WindowWidth": "0.5"}, "window width"),
        ({"WindowCenter": "40", "WindowWidth": "-5", "VOILUTFunction": "SIGMOID"}, "window width"),
        ({"WindowCenter": "NaN", "WindowWidth": "50"}, "WindowCenter"),
        ({"PixelSpacing": [0, 0.2]}, "PixelSpacing"),
        ({"ImagerPixelSpacing": ["NaN", 0.2]}, "ImagerPixelSpacing"),
    ],
)
def test_refusals_name_sample_reader_expected_and_found(elements: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(dataset(stored(12), bits=12, **elements))
    text = str(caught.value)
    assert "DICOM reader expected" in text
    assert "and found" in text
    assert "site/film.dcm" in text


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.97])
def test_truncated_files_are_refused(syntax: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 4096, SHAPE).astype(np.uint16)
    data = to_bytes(dataset(noise, bits=12), syntax)
    with pytest.raises(DataError):
        read_dicom(data[: int(len(data) * kept)])


@pytest.mark.parametrize("syntax", [*BY_GDCM[2:5], *BY_PYDICOM], ids=lambda syntax: syntax.name)
def test_truncated_frames_in_whole_files_are_refused(syntax: str) -> None:
    ds = dcmread(io.BytesIO(to_bytes(dataset(stored(12), bits=12), syntax)))
    frame = ds.PixelData[16:-8]
    ds.PixelData = encapsulate([frame[: len(frame) // 2]])
    buffer = io.BytesIO()
    ds.save_as(buffer)
    with pytest.raises(DataError):
        read_dicom(buffer.getvalue())


def test_a_codestream_of_another_size_is_refused_before_it_is_decoded() -> None:
    ds = dcmread(io.BytesIO(to_bytes(dataset(stored(12), bits=12), uid.JPEG2000Lossless)))
    ds.Rows = 39
    buffer = io.BytesIO()
    ds.save_as(buffer)
    with pytest.raises(DataError, match="declared size"):
        read_dicom(buffer.getvalue())


def test_a_deflated_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "_MAX_INFLATED", 1 << 12)
    ds = dataset(np.zeros((512, 512), np.uint16), bits=12)
    with pytest.raises(DataError, match="more than an image can hold"):
        read(ds, uid.DeflatedExplicitVRLittleEndian)


def test_deflated_garbage_is_refused() -> None:
    data = to_bytes(dataset(stored(12), bits=12), uid.DeflatedExplicitVRLittleEndian)
    start = 144 + int.from_bytes(data[140:144], "little")
    for body in (b"", b"garbage", zlib.compress(b"x" * 500, wbits=-15)):
        with pytest.raises(DataError):
            read_dicom(data[:start] + body)


# --- no header text leaves

BREAKERS: list[Callable[[bytes], bytes]] = [
    lambda data: data[: len(data) // 2],
    lambda data: data.replace(b"0.14\\0.14 ", b"ZZ^SENTI\0\0"),
    lambda data: data.replace(b"MONOCHROME2 ", b"ZZ^SENTINEL "),
    lambda data: data.replace(b"SIGMOID ", b"ZZ^SENT "),
    lambda data: data.replace(b"045Y", b"ZZ^S"),
    lambda data: data.replace(b"100 ", b"ZZ^S"),
]


@pytest.mark.parametrize("breaker", BREAKERS)
def test_sentinel_never_appears(
    breaker: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    ds = dataset(
        stored(12), bits=12, PixelSpacing=[0.14, 0.14], WindowCenter="100", WindowWidth="300", VOILUTFunction="SIGMOID", PatientAge="045Y"
    )
    data = breaker(to_bytes(ds))
    try:
        text = str(read_dicom(data, sample_id="a").facts)
    except DataError as error:
        text = str(error) + str(error.__context__)
    output = capfd.readouterr()
    assert "ZZ" not in text + caplog.text + output.out + output.err
    assert SENTINEL.encode() in data
