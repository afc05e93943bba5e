# SPDX-License-Identifier: Apache-2.0
"""The shift table in a terminal of 80 columns: what answers comes first, the rest is counted."""

import io

from rich.console import Console

from medsetu.report.shift_table import MOST, shift_tables
from medsetu.shift.row import SECTIONS, ShiftRow, shift_table


def printed(rows, *, width=80):
    console = Console(width=width, file=io.StringIO())
    for table in shift_tables(shift_table(rows)):
        console.print(table)
    return console.file.getvalue()


def many(section, count=9):
    return [
        ShiftRow(section, "sensitivity at transported sensitivity_0.90", f"line {number}", 0.123, 0.05, 0.95, verdict="measured")
        for number in range(count)
    ]


def test_every_line_fits_eighty_columns():
    long = "refused: no overlap: the classifier of the side tells the sides apart on every film there is"
    text = printed([row for section in SECTIONS for row in [*many(section), ShiftRow(section, "m" * 60, "s" * 90, verdict=long)]])
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert " ".join(text.split()).count("more lines in the passport") == len(SECTIONS)


def test_a_section_shows_six_lines_and_counts_the_others():
    text = printed(many("gap"))
    assert text.count("line ") == MOST
    assert "(3 more lines in the passport)" in " ".join(text.split())


def test_aurocs_and_verdicts_come_before_numbers_and_numbers_before_refusals():
    rows = [
        *many("gap"),
        ShiftRow("gap", "refused line", "age", verdict="refused: no ages"),
        ShiftRow("gap", "brier", "all films", 0.1, verdict="worse on the local side"),
        ShiftRow("gap", "auroc", "local", 0.7, 0.6, 0.8, verdict="measured"),
    ]
    text = printed(rows)
    assert "AUROC" in text
    assert "worse on the local" in text
    assert "refused line" not in text
    assert text.index("worse on the local") < text.index("AUROC")  # in the order of the table


def test_the_named_cause_is_never_hidden():
    assert "shift named" in printed([*many("explain"), ShiftRow("explain", "shift named", "finding", verdict="no shift found")])


def test_repairs_keep_their_ranks():
    rows = [*many("repair"), ShiftRow("repair", "gain in brier", "last", 0.1, verdict="worse")]
    assert "last" not in printed(rows)


def test_a_section_of_refusals_is_shown_and_an_empty_one_is_not():
    text = printed([ShiftRow("detect", "ks", "age_years", verdict="refused: 5 patients, 10 are needed")])
    assert "refused: 5 patients" in text
    assert text.count("What") == 1
    assert printed([]) == ""


def test_names_from_outside_are_no_markup():
    assert "[red]site[/red]" in printed([ShiftRow("gap", "auroc", "[red]site[/red]", 0.5, verdict="[b]")])
