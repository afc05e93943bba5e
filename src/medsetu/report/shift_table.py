# SPDX-License-Identifier: Apache-2.0
"""The shift table for a terminal of 80 columns: the lines that carry an answer, section by section."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from medsetu.report.number import interval, number, words
from medsetu.report.passport import TITLES, p_value
from medsetu.shift.row import SECTIONS

MOST = 6  # lines of a section; the others stand in the passport
_BY_VERDICT = ("gap", "detect", "explain", "shortcut")  # the others stand in an order of their own
_PLAIN = ("measured", "estimated", "observed", "not estimable", "cannot tell", "no ", "refused", "not identified", "enough")


def shift_tables(table: pd.DataFrame) -> Iterator[Table]:
    """Lay out the shift table.

    Args:
        table: Table with ``SHIFT_COLUMNS``.

    Yields:
        One table per section, of at most ``MOST`` lines: AUROCs and the named cause first, then verdicts, numbers, refusals.
    """
    for section in SECTIONS:
        rows = table[table["section"] == section]
        if rows.empty:
            continue
        shown = _first_of(rows)
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


def _first_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Lines that answer most, in the order of the table."""
    auroc = rows["measure"].isin(["auroc", "gap: auroc"]) & rows["subject"].isin(["global", "local", "all films"])
    first = auroc | (rows["measure"] == "shift named")
    plain = rows["verdict"].str.startswith(_PLAIN) | (rows["verdict"] == "")
    place = np.select([first, ~plain & rows["section"].isin(_BY_VERDICT), rows["value"].notna()], [0, 1, 2], default=3)
    return rows.iloc[np.sort(np.argsort(place, kind="stable")[:MOST])]
