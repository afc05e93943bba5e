# SPDX-License-Identifier: Apache-2.0
"""The labeller's cells: blank is unknown, uncertain is declared by finding, devices are no finding."""

import math

import pytest

from medsetu.core.errors import DataError
from medsetu.core.label import uncertain_values
from medsetu.reader.observation import CLEAR, COLUMN_OF, observations, uncertain_note


def row(**cells):
    return dict.fromkeys([CLEAR, *COLUMN_OF.values()], "") | {name.replace("_", " "): cell for name, cell in cells.items()}


def test_uncertain_has_a_meaning_for_each_finding():
    meanings = uncertain_values({"edema": "positive", "*": "negative"}, list(COLUMN_OF), where="test")
    found = observations(row(Edema="-1", Fracture="-1.0", Pneumonia="1.0", Atelectasis="0"), uncertain=meanings, where="x")
    assert (found["edema"], found["fracture"], found["pneumonia"], found["atelectasis"]) == (1.0, 0.0, 1.0, 0.0)
    assert math.isnan(found["cardiomegaly"])


def test_no_finding_clears_all_but_devices():
    found = observations(row(**{"No_Finding": "1"}), uncertain={}, where="x")
    assert {name for name, value in found.items() if math.isnan(value)} == {"support_devices"}
    assert observations(row(No_Finding="1", Support_Devices="1.0"), uncertain={}, where="x")["support_devices"] == 1.0


def test_a_strange_cell_is_refused():
    with pytest.raises(DataError, match="neither 1, 0, -1 nor blank"):
        observations(row(Edema="2"), uncertain={}, where="x")


def test_the_note_names_every_meaning():
    assert uncertain_note({"edema": "positive"}) == "Uncertain labels are edema positive, others unknown"
