# SPDX-License-Identifier: Apache-2.0
import io

import pytest
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset

from fakes.identified import MOBILE, SECRETS, SENTINEL, dicom_bytes, every_row, image_header, patient_header, places
from medsetu.privacy.dicom import audit_header
from medsetu.privacy.plan import AuditPlan, audit_plan
from medsetu.privacy.profile import OPTIONS
from medsetu.privacy.pseudonym import Pseudonyms
from medsetu.privacy.scrub import Scrubber, descriptors

KEY = Pseudonyms(bytes(32))
DEFAULT = audit_plan(retain=["patient_characteristics", "modified_dates", "clean_descriptors"])


def scrubbed(header, plan=DEFAULT):
    Scrubber(plan, KEY, cleaned_pixels=False).scrub(header)
    return header


def left(header, plan):
    return {rule: count for rule, count in audit_header(header, plan=plan)[0].items() if "/kept/" not in rule and "burned" not in rule}


@pytest.mark.parametrize("plan", [AuditPlan(), DEFAULT], ids=["basic", "options"])
@pytest.mark.parametrize("row", every_row(), ids=lambda row: row.tag)
def test_every_row_is_cleaned_at_every_depth(row, plan):
    for place, header in places(row):
        if place == "top" and row.tag.startswith("0002"):
            continue
        header.file_meta = FileMetaDataset()
        kept = row.action(plan.retain) in ("K", "C")
        scrubbed(header, plan)
        assert left(header, plan) == {}, place
        if not kept:
            assert not [secret for secret in SECRETS if secret in str(header)], place
        assert "ZZ^SENTINEL" not in str(header) or kept


@pytest.mark.parametrize("option", [name for name in OPTIONS if name != "safe_private"])
def test_a_patient_is_cleaned_under_every_option(option):
    plan = audit_plan(retain=[option])
    header = scrubbed(patient_header(), plan)
    assert left(header, plan) == {}
    assert SENTINEL not in str(header)
    assert MOBILE not in str(header)


def test_what_a_study_needs_stays():
    header = scrubbed(patient_header())
    assert (header.PatientAge, header.PatientSex, header.Modality) == ("067Y", "F", "DX")
    assert header.StudyDescription == "CHEST PA"
    assert header.PatientName == header.PatientID == KEY.name("P-2345678")
    assert header.StudyInstanceUID.startswith("2.25.")
    assert (
        header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID == header.ReferencedImageSequence[0].ReferencedSOPInstanceUID
    )
    assert "DeviceSerialNumber" not in header or header.DeviceSerialNumber == "REMOVED"
    assert not [element for element in header if element.tag.is_private]


def test_dates_move_together_and_are_declared():
    header = scrubbed(patient_header())
    assert header.StudyDate == KEY.moved("20240301", patient="P-2345678")
    assert int(header.SeriesDate) - int(header.StudyDate) in (2, 2 + 70, 2 + 72, 2 + 71, 2 + 69, 8872)
    assert header.PatientBirthDate == ""
    assert header.LongitudinalTemporalInformationModified == "MODIFIED"
    assert header.PatientIdentityRemoved == "YES"
    codes = [item.CodeValue for item in header.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107", "113108"]
    assert scrubbed(patient_header(), AuditPlan()).LongitudinalTemporalInformationModified == "REMOVED"


def test_old_patients_are_pooled():
    for age, pooled in (("089Y", "089Y"), ("091Y", "090Y"), ("006M", "006M")):
        header = patient_header()
        header.PatientAge = age
        assert scrubbed(header).PatientAge == pooled


def test_the_basic_profile_keeps_no_age():
    assert "PatientAge" not in scrubbed(patient_header(), AuditPlan())


def test_a_clean_header_can_be_written_and_read():
    header = dcmread(io.BytesIO(dicom_bytes(scrubbed(patient_header()))))
    assert header.pixel_array.shape == (64, 48)
    assert header.PatientIdentityRemoved == "YES"


def test_safe_private_elements_stay():
    header = image_header()
    header.add_new(0x70530010, "LO", "Philips PET Private Group")
    header.add_new(0x70531000, "DS", "0.5")
    header.add_new(0x70531001, "LO", SENTINEL)
    plan = audit_plan(retain=["safe_private"], safe_private=["Philips PET Private Group/00"])
    scrubbed(header, plan)
    assert header[0x70531000].value == 0.5
    assert SENTINEL not in str(header)


def test_names_in_text_beside_the_table_are_removed():
    header = patient_header()
    header.Manufacturer = "ACME for Sentinel"
    header.EvaluatorName = SENTINEL
    header.ImageType = ["ORIGINAL", "PRIMARY"]
    scrubbed(header)
    assert header.Manufacturer == header.EvaluatorName == "REMOVED"
    assert list(header.ImageType) == ["ORIGINAL", "PRIMARY"]


def test_descriptors_keep_a_vocabulary():
    assert descriptors("Thorax AP/Lateral, Smt. Devi 1945") == "Thorax AP Lateral"
    assert descriptors("Lakshmi") == "REMOVED"
