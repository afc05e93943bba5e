# SPDX-License-Identifier: Apache-2.0
import gzip
import os
from pathlib import Path

import pytest
from PIL import Image

from fakes.identified import SECRETS, dicom_bytes, identified_folder, image_header, patient_header
from medsetu.privacy.audit import CRASHED, Job, audit_file, crashed, kind_of, reference
from medsetu.privacy.plan import AuditPlan

PLAN = AuditPlan(pixels=False)


def audited(path, relative=None):
    return audit_file(Job(path, relative or Path(path.name), PLAN))


def test_the_first_bytes_decide(tmp_path):
    Image.new("L", (16, 16), 9).save(tmp_path / "a.dcm", "PNG")
    Image.new("L", (16, 16), 9).save(tmp_path / "b.png", "JPEG")
    Image.new("L", (16, 16), 9).save(tmp_path / "c.bin", "TIFF")
    Image.new("L", (16, 16), 9).save(tmp_path / "d.bin", "PPM")
    (tmp_path / "e.csv").write_bytes(dicom_bytes(image_header()))
    (tmp_path / "f").write_bytes(dicom_bytes(image_header()))
    (tmp_path / "g.nii.gz").write_bytes(gzip.compress((348).to_bytes(4, "little") + bytes(348)))
    (tmp_path / "h").write_text("plain words\n")
    (tmp_path / "i.bin").write_bytes(bytes(range(256)))
    kinds = [kind_of(path) for path in sorted(tmp_path.iterdir())]
    assert kinds == ["png", "jpeg", "tiff", "pgm", "dicom", "dicom", "nifti", "text", "other"]


def test_a_file_gives_counts_and_no_value(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_bytes(patient_header()))
    record = audited(path, Path("Sentinel/a.dcm"))
    assert record.reason == ""
    assert record.found["dicom/00100010"] == 1
    assert record.found["path/repeated"] == 1
    assert record.ref == reference(Path("Sentinel/a.dcm"))
    assert not [secret for secret in SECRETS if secret in repr(record)]


@pytest.mark.parametrize("data", [b"", bytes(128) + b"DICM" + b"ZZ^SENTINEL" * 9, b"II*\0SENTINEL", b"PK\3\4SENTINEL"])
@pytest.mark.parametrize("name", ["a.dcm", "a.tif", "a.xlsx", "a.json"])
def test_broken_files_have_a_reason(tmp_path, data, name):
    (tmp_path / name).write_bytes(data)
    record = audited(tmp_path / name)
    assert record.reason or record.kind in ("other", "dicom")
    assert "SENTINEL" not in repr(record)


def test_what_is_no_file_has_a_reason(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing", "."):
        assert audited(tmp_path / name, Path("x")).reason
    assert crashed(Job(tmp_path, Path("Dr_Rao/x"), PLAN)).reason == CRASHED
    assert crashed(Job(tmp_path, Path("Dr_Rao/x"), PLAN)).found == {"path/looks like name": 1}


def test_files_of_unknown_kinds_are_named(tmp_path):
    (tmp_path / "a.npz").write_bytes(bytes(range(256)))
    assert audited(tmp_path / "a.npz").found == {"file/not looked into": 1}


def test_a_whole_folder_leaks_nothing(tmp_path):
    folder = identified_folder(tmp_path / "in")
    records = [audited(path, path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    assert sum(sum(record.found.values()) for record in records) > 20
    assert not [secret for secret in SECRETS if secret in repr(records)]
