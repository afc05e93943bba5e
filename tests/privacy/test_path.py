# SPDX-License-Identifier: Apache-2.0
from pathlib import PurePath

import pytest

from medsetu.privacy.path import audit_path


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("ZZ^SENTINEL/a.dcm", "name"),
        ("Dr_Rao/a.dcm", "name"),
        ("a/98765 43210.png", "mobile"),
        ("234567890124.jpg", "aadhaar"),
        ("2024-03-01/a.png", "date"),
        ("20240301_a.png", "date"),
        ("1.2.826.0.1.3680043.8.498.1.dcm", "uid"),
        ("MRN_0042177.nii.gz", "record number"),
        ("zz.sentinel@hospital.in/a.png", "e-mail"),
        ("1234567890.png", "long number"),
    ],
)
def test_names_that_tell(path, rule):
    assert audit_path(PurePath(path)) == {f"path/looks like {rule}": 1}


@pytest.mark.parametrize(
    "path",
    [
        "images/00000013_005.png",
        "CQ500CT43 CQ500CT43/Unknown Study/CT Plain Thin/CT000110.dcm",
        "MCUCXR_0001_0.png",
        "DatasetA/Training/nx19.jpg",
        "Mass-Training_P_00001_LEFT_CC/1-1.dcm",
        "TB.1/mdb001.pgm",
    ],
)
def test_names_of_published_releases_are_harmless(path):
    assert audit_path(PurePath(path)) == {}


def test_the_patient_of_the_header_in_the_name():
    assert audit_path(PurePath("sentinel/sentinel_2.dcm"), words={"sentinel"}) == {"path/repeated": 2}
