# SPDX-License-Identifier: Apache-2.0
"""The shift table for a terminal of 80 columns: the lines that carry an answer, section by section."""

import math
from collections.abc import Iterator

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from medsetu.report.number import interval, number, words
from medsetu.report.passport import TITLES, p_value
from medsetu.shift.row import SECTIONS

MOST = 6  # lines of a section; the others stand in the passport


def shift_tables(table: pd.DataFrame) -> Iterator[Table]:
    """Lay out the shift table.

    Args:
        table: Table with ``SHIFT_COLUMNS``.

    Yields:
        One table per section that has a line with a number, or with a refusal where it has no number at all.
    """
    for section in SECTIONS:
        rows = table[table["section"] == section]
        known = rows[rows["value"].notna()]
        shown = (known if len(known) else rows).head(MOST)
        if shown.empty:
            continue
        hidden = len(rows) - len(shown)
        title = TITLES[section] + (f" ({hidden} more lines in the passport)" if hidden else "")
        view = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        view.add_column("measure", overflow="fold", max_width=30)
        view.add_column("value", justify="left", no_wrap=True)
        view.add_column("p", justify="right", no_wrap=True)
        view.add_column("what follows", overflow="fold")
        for row in shown.to_dict("records"):
            p = row["p_adjusted"] if not math.isnan(row["p_adjusted"]) else row["p"]
            between = interval(row["low"], row["high"])
            value = f"{number(row['value'])}\n{between}" if between else number(row["value"])
            what = f"{words(str(row['measure']))}\n{words(str(row['subject']))}"
            view.add_row(Text(what), Text(value), Text(p_value(p)), Text(str(row["verdict"])))
        yield view
