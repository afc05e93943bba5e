# SPDX-License-Identifier: Apache-2.0
"""Clauses are named as the licences number them, and only where a licence has them."""

import pytest

from medsetu.catalog.clause import against, bound, clause, duties, elements, irreconcilable
from medsetu.catalog.licence import USES


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC-BY-4.0", ("BY",)),
        ("CC-BY-NC-4.0", ("BY", "NC")),
        ("CC-BY-NC-SA-2.0", ("BY", "NC", "SA")),
        ("CC-BY-ND-3.0", ("BY", "ND")),
        ("CC0-1.0", ()),
        ("Apache-2.0", ()),
        ("LicenseRef-CC-BY-NC", ()),
        ("CC-BY-4.0 AND MIT", ()),
        (None, ()),
        ("", ()),
    ],
)
def test_elements(licence, expected):
    assert elements(licence) == expected


def test_sections_are_named_for_version_4_only():
    assert "section 2(a)(1) of CC-BY-NC-4.0" in clause("CC-BY-NC-4.0", "NC")
    assert "section" not in clause("CC-BY-NC-3.0", "NC")
    assert clause("Apache-2.0", "BY") == ""


@pytest.mark.parametrize(
    ("licence", "barred"),
    [
        ("CC-BY-4.0", set()),
        ("CC-BY-NC-SA-4.0", {"commercial"}),
        ("CC-BY-ND-4.0", {"release_weights", "share_tables"}),
        ("CC-BY-NC-ND-4.0", {"commercial", "release_weights", "share_tables"}),
        (None, set()),
    ],
)
def test_each_use_meets_its_clause(licence, barred):
    assert {use for use in USES if against(licence, use)} == barred
    for use in USES:
        asked = duties(licence, use)
        assert len(asked) == len(elements(licence)) - (use in barred)
        assert against(licence, use) not in asked or not against(licence, use)


def test_what_stays_is_said_even_when_it_is_nothing():
    assert bound(()) == "No clause is known that stays with them"
    assert clause("CC-BY-SA-4.0", "SA") in bound(duties("CC-BY-SA-4.0", "research"))


@pytest.mark.parametrize(
    ("licences", "clash"),
    [
        (["CC-BY-SA-4.0"], ()),
        (["CC-BY-SA-4.0", "CC-BY-SA-3.0"], ()),
        (["CC-BY-SA-4.0", "CC-BY-NC-4.0", None, "Apache-2.0"], ()),
        (["CC-BY-NC-SA-4.0", "CC-BY-SA-3.0"], ("CC-BY-NC-SA-4.0", "CC-BY-SA-3.0")),
    ],
)
def test_share_alike_licences_that_clash(licences, clash):
    assert irreconcilable(licences) == clash
