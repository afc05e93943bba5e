# SPDX-License-Identifier: Apache-2.0
"""The trials of a search for a terminal, best first."""

import math
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from medsetu.report.number import DASH
from medsetu.search.trial import FINISHED, Trial

MOST = 15  # trials; the others stand in the table on disk


def search_table(trials: Sequence[Trial], *, best: int, monitor: str) -> Table:
    """Lay out the trials.

    Args:
        trials: All of them.
        best: Number of the best one.
        monitor: Log key that judged them; ``loss`` is better when smaller.

    Returns:
        A table of at most ``MOST`` trials, finished ones before given up and failed ones.
    """
    sign = 1 if monitor.endswith("/loss") else -1
    ordered = sorted(trials, key=lambda one: (one.state != FINISHED, math.isnan(one.value), sign * one.value, one.number))
    hidden = len(ordered) - MOST
    title = "Trials, best first" + (f" ({hidden} more on disk)" if hidden > 0 else "")
    view = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("trial", monitor, "epochs"):
        view.add_column(name, justify="right", no_wrap=name == "trial")
    view.add_column("state", no_wrap=True)
    for key in trials[0].values:
        view.add_column(key.removeprefix("stages."), justify="right", overflow="fold")
    for one in ordered[:MOST]:
        value = DASH if math.isnan(one.value) else f"{one.value:.4f}"
        cells = [str(one.number), value, str(one.facts.get("epochs", DASH)), one.state, *map(str, one.values.values())]
        view.add_row(*(Text(cell) for cell in cells), style="bold" if one.number == best else None)
    return view
