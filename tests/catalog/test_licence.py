# SPDX-License-Identifier: Apache-2.0
"""Silence is not permission: verdicts for three uses."""

from dataclasses import replace

import pytest

from medsetu.catalog.card import load_card
from medsetu.catalog.licence import require, verdict
from medsetu.core.errors import ConfigError, LicenceError

FREE = load_card("cmmd")
SILENT = load_card("nitrd")


@pytest.mark.parametrize(
    ("card", "research", "commercial", "release_weights"),
    [
        (FREE, True, True, True),
        (SILENT, True, False, False),
        (replace(SILENT, research_use="no"), False, False, False),
        (replace(SILENT, commercial_use="yes", weights_release="yes"), True, False, False),  # yes without a licence text is not believed
        (replace(FREE, commercial_use="ask", weights_release="ask"), True, False, False),
        (replace(FREE, commercial_use="no", weights_release=None), True, False, False),
        (replace(FREE, tombstone="withdrawn"), False, False, False),
        (load_card("embed"), True, False, False),
        (load_card("nih_chestxray14"), True, True, True),
        (load_card("table"), True, False, False),
    ],
)
def test_each_use_has_its_answer(card, research, commercial, release_weights):
    answers = [verdict([card], use).allowed for use in ("research", "commercial", "release_weights")]
    assert answers == [research, commercial, release_weights]


def test_one_refusal_refuses_all():
    answer = verdict([FREE, SILENT], "commercial")
    assert not answer.allowed
    assert [clause.release for clause in answer.refused] == ["nitrd"]
    assert [clause.release for clause in answer.clauses] == ["cmmd", "nitrd"]


def test_ask_permits_research_with_a_note():
    clause = verdict([SILENT], "research").clauses[0]
    assert clause.allowed
    assert clause.licence == ""
    assert clause.reason.startswith("Confirm the terms")


def test_require_names_release_clause_and_remedy():
    assert require([FREE, SILENT], "research").allowed
    with pytest.raises(LicenceError, match=r"1 of 2 releases do not permit use in or for a product.*'nitrd'.*silence.*Leave out nitrd"):
        require([FREE, SILENT], "commercial")
    with pytest.raises(LicenceError, match="forbids publishing models"):
        require([load_card("embed")], "release_weights")


def test_an_unknown_use_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'commercial'"):
        verdict([FREE], "comercial")
