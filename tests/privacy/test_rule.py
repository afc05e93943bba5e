# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

import medsetu.privacy
from medsetu.privacy.profile import rows
from medsetu.privacy.rule import _KNOWN, KINDS, NOTICE, describe

FOLDER = Path(medsetu.privacy.__file__).parent


def test_every_row_of_the_table_can_be_described():
    for tag, row in rows().items():
        described = describe(f"dicom/{tag}")
        assert row.name in described.what
        assert described.kind in KINDS
        assert described.counts


def test_every_rule_of_the_catalogue_has_a_kind():
    assert all(kind in KINDS for _, kind in _KNOWN.values())
    assert not describe("dicom/no claim").counts
    assert describe("dicom/kept/00101010").kind == NOTICE


def test_every_rule_that_the_code_names_is_in_the_catalogue():
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))
    sources = "dicom|png|jpeg|tiff|pgm|nifti|sheet|file|pixels|path"
    named = set(re.findall(rf'"((?:{sources})/[a-z][a-z0-9 -]*)"', text))
    assert len(named) > 30
    assert [name for name in named if describe(name).kind not in KINDS] == []


def test_patterns_and_places_are_said():
    assert describe("sheet/looks like mobile").what == "what looks like a mobile"
    assert describe("dicom/looks like aadhaar/in a sequence").what == "what looks like an aadhaar, in a sequence"
    assert describe("path/looks like date").kind == "date"


def test_private_attributes_have_no_made_up_tag():
    assert describe("dicom/private").what == "Private Attributes"
    assert describe("dicom/private/in a sequence").what == "Private Attributes, in a sequence"
    assert describe("dicom/kept/00101010").what.startswith("(0010,1010) Patient's Age, ")
