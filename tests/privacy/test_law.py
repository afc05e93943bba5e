# SPDX-License-Identifier: Apache-2.0
from datetime import date

from medsetu.privacy.law import PROVISIONS, touched
from medsetu.privacy.rule import KINDS

BEFORE, BETWEEN, AFTER = date(2026, 11, 1), date(2026, 11, 22), date(2027, 6, 1)


def by_cite(lines):
    return {line.cite: line for line in lines}


def test_what_is_in_force_follows_the_day():
    status = [[line.status for line in touched({}, (), day=day)] for day in (BEFORE, BETWEEN, AFTER)]
    assert [states.count("in force") for states in status] == [1, 2, len(PROVISIONS)]
    assert "not yet in force; from mid-May 2027" in status[1]
    assert "not yet in force; from mid-November 2026" in status[0]


def test_findings_touch_provisions():
    lines = by_cite(touched({"identifier": 3, "uid": 2}, ["dicom/00100010"], day=BETWEEN))
    research = lines["DPDP Act s. 17(2)(b) with Rule 16 and the Second Schedule"]
    assert (research.count, research.kinds) == (5, ("identifier", "uid"))
    assert lines["DPDP Rules, Rule 7"].count == 3
    assert lines["DPDP Rules, Rule 13"].count == 0
    children = "DPDP Rules, Rules 10 and 12 with the Fourth Schedule"
    assert lines[children].count == 0
    assert by_cite(touched({}, ["dicom/child"], day=BETWEEN))[children].count == 1


def test_kinds_are_known():
    assert {kind for provision in PROVISIONS for kind in provision.kinds} <= set(KINDS)
