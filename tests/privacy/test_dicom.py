# SPDX-License-Identifier: Apache-2.0
import io

import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit

from fakes.identified import BORN, SECRETS, SENTINEL, UID, dicom_bytes, every_row, image_header, patient_header, places, tag_of
from medsetu.core.errors import DataError
from medsetu.privacy.dicom import REFERENCES, age_years, audit_dicom, audit_header, is_gated
from medsetu.privacy.plan import AuditPlan, audit_plan

PLAN = AuditPlan()


def found(header, plan=PLAN):
    return audit_header(header, plan=plan)[0]


@pytest.mark.parametrize("row", every_row(), ids=lambda row: row.tag)
def test_every_row_of_the_table_is_found_at_every_depth(row):
    for place, header in places(row):
        counts = found(header)
        suffix = "" if place == "top" else "/in a sequence"
        rule = f"dicom/{row.tag}{suffix}"
        if row.basic == REFERENCES:  # what counts is inside
            rule = "dicom/00081155/in a sequence"
        assert counts[rule] >= 1, place
        if place == "private":
            assert counts["dicom/private"] >= 1
        assert not [secret for secret in SECRETS if secret in repr(counts)]


@pytest.mark.parametrize("row", [row for row in every_row() if row.options], ids=lambda row: row.tag)
def test_what_an_agreed_option_keeps_is_no_finding(row):
    _, header = next(places(row))
    for option, action in row.options.items():
        if option in ("modified_dates", "safe_private"):
            continue
        counts = found(header, audit_plan(retain=[option]))
        assert counts[f"dicom/{row.tag}"] == 0, (option, action)
        if row.basic != REFERENCES:
            assert counts[f"dicom/kept/{row.tag}"] == 1


def test_an_image_that_names_nobody_has_no_findings():
    data = dicom_bytes(image_header())
    assert audit_dicom(data, plan=PLAN) == ({}, frozenset())


def test_a_patient_is_found_in_a_file():
    counts, words = audit_dicom(dicom_bytes(patient_header()), plan=PLAN)
    wanted = ["00100010", "00100020", "00100030", "00101010", "00100040", "00080020", "0020000D", "00080080", "00181000", "private"]
    assert all(counts[f"dicom/{tag}"] >= 1 for tag in wanted)
    assert counts["dicom/00100010/in a sequence"] == 1
    assert counts["dicom/00020003"] == 1
    assert counts["dicom/no claim"] == 1
    assert "sentinel" in words
    assert not [secret for secret in SECRETS if secret in repr(counts)]


def test_what_the_file_declares_is_accepted_only_with_its_claim():
    header = image_header()
    header.PatientAge = "067Y"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113108", "DCM"
    header.DeidentificationMethodCodeSequence = Sequence([code])
    assert found(header) == {"dicom/kept/00101010": 1}
    assert found(header, audit_plan(trust_claims=False))["dicom/00101010"] == 1
    header.PatientIdentityRemoved = "NO"
    assert found(header)["dicom/00101010"] == 1


def test_shifted_dates_have_to_be_declared():
    header = image_header()
    header.StudyDate = "20240301"
    plan = audit_plan(retain=["modified_dates"])
    assert found(header, plan)["dicom/00080020"] == 1
    header.LongitudinalTemporalInformationModified = "MODIFIED"
    assert found(header, plan) == {"dicom/kept/00080020": 1}


def test_text_and_names_outside_the_table():
    header = image_header()
    header.Manufacturer = f"ACME {SENTINEL}"
    header.EvaluatorName = SENTINEL
    header.DateOfGainCalibration = BORN
    header.StorageURL = "ftp:zz.sentinel"
    header.PatientID = "P-2345678"
    header.ImageType = ["ORIGINAL", "2345678"]
    counts = found(header)
    assert counts["dicom/looks like name"] == 1
    assert counts["dicom/name beside the table"] == counts["dicom/date beside the table"] == counts["dicom/address beside the table"] == 1
    assert counts["dicom/repeated"] == 1


def test_private_elements_on_the_safe_list():
    header = image_header()
    header.add_new(0x70530010, "LO", "Philips PET Private Group")
    header.add_new(0x70531000, "DS", "0.5")
    header.add_new(0x70531001, "LO", SENTINEL)
    assert found(header)["dicom/private"] == 3
    assert found(header, audit_plan(safe_private=["Philips PET Private Group/00"]))["dicom/private"] == 1


def test_file_meta_and_preamble():
    header = image_header()
    header.file_meta.SourceApplicationEntityTitle = "SENTINEL"
    data = bytearray(dicom_bytes(header))
    assert audit_dicom(bytes(data), plan=PLAN)[0] == {"dicom/file meta": 1}
    data[:11] = b"ZZ^SENTINEL"
    assert audit_dicom(bytes(data), plan=PLAN)[0] == {"dicom/file meta": 1, "dicom/preamble": 1}
    data[:11] = b"II*\0\0\0\0\0\0\0\0"
    assert "dicom/preamble" not in audit_dicom(bytes(data), plan=PLAN)[0]


def test_a_comment_inside_the_codestream_is_found():
    header = image_header()
    header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    stream = bytes.fromhex("ffd8") + b"\xff\xfe\x00\x0dZZ^SENTINEL" + bytes.fromhex("ffd9")
    header.PixelData = encapsulate([stream])
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    counts, _ = audit_dicom(dicom_bytes(header), plan=PLAN)
    assert counts["jpeg/comment"] == 1
    assert counts["jpeg/looks like name"] == 1


@pytest.mark.parametrize(("at", "lie"), [(0, b"abcd"), (4, b"\x03\x00\x00\x00")], ids=["no item", "a short item"])
def test_a_codestream_that_cannot_be_taken_apart_is_a_finding(at, lie):
    header = image_header()
    header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    header.PixelData = encapsulate([bytes.fromhex("ffd8fffe000d") + b"ZZ^SENTINEL" + bytes.fromhex("ffd9")])
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    data = dicom_bytes(header)
    place = data.rindex(b"\xfe\xff\x00\xe0") + at
    assert audit_dicom(data[:place] + lie + data[place + 4 :], plan=PLAN)[0] == {"pixels/not looked at": 1}
    assert audit_dicom(data, plan=PLAN)[0]["jpeg/comment"] == 1


@pytest.mark.parametrize(("text", "years"), [("045Y", 45), ("006M", 0.5), ("010D", 0.027), ("004W", 0.077)])
def test_ages(text, years):
    assert age_years(text) == pytest.approx(years, abs=0.01)


def test_old_and_young_patients():
    header = image_header()
    header.PatientAge = "093Y"
    plan = audit_plan(retain=["patient_characteristics"])
    assert found(header, plan)["dicom/age above 89"] == 1
    header.PatientAge = "090Y"  # the pool
    assert found(header, plan)["dicom/age above 89"] == 0
    header.PatientAge = "006M"
    assert found(header, plan)["dicom/child"] == 1


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("Modality", "US"), ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"), ("ConversionType", "WSD"), ("ImageType", ["DERIVED", "SECONDARY"])],
)
def test_the_gate(keyword, value):
    header = image_header()
    del header.BurnedInAnnotation
    assert found(header) == {"dicom/burned-in unknown": 1}
    setattr(header, keyword, value)
    assert is_gated(header)
    assert found(header) == {"dicom/gate": 1}
    header.BurnedInAnnotation = "YES"
    assert found(header) == {"dicom/burned-in declared": 1}
    header.BurnedInAnnotation = "NO"
    assert found(header) == {}


def test_a_reformatted_ct_is_not_gated():
    header = image_header(modality="CT")
    header.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    assert not is_gated(header)


def test_reports_and_directories_are_named():
    header = image_header()
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    assert found(header) == {"dicom/document": 1}


def test_a_value_that_cannot_be_converted_is_found_by_its_tag():
    data = dicom_bytes(patient_header()).replace(b"067Y", b"\xff\xfe\xfd\xfc")
    assert audit_dicom(data, plan=PLAN)[0]["dicom/00101010"] == 1
    header = dcmread(io.BytesIO(dicom_bytes(image_header())))
    header.add_new(0x00101030, "DS", "67")
    broken = dicom_bytes(header).replace(b"DS\x02\x0067", b"DS\x02\x00x7")
    assert audit_dicom(broken, plan=PLAN)[0]["dicom/00101030"] == 1


@pytest.mark.parametrize("data", [b"", bytes(200), bytes(128) + b"DICM", bytes(128) + b"DICM" + b"ZZ^SENTINEL" * 9])
def test_broken_files_are_refused_without_a_word_of_them(data):
    told = ""
    try:
        told = repr(audit_dicom(data, plan=PLAN, sample_id="a"))
    except DataError as error:
        told = str(error)
    assert told
    assert not [secret for secret in SECRETS if secret in told]


def test_a_tag_stands_for_every_row():
    assert len({tag_of(row) for row in every_row()}) == len(every_row())
    assert UID not in repr(found(patient_header()))
