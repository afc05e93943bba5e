# SPDX-License-Identifier: Apache-2.0
"""Learning curves of a study: AUROC on the local test against the local patients that were learned from."""

import pandas as pd
from markupsafe import Markup

from medsetu.report.figure import colour, panel, style, svg
from medsetu.report.number import interval, number


def learning_curve_panel(points: pd.DataFrame, *, name: str) -> Markup:
    """Draw the learning curves of the arms that learn from local patients.

    Args:
        points: One row per point: ``arm``, ``patients`` (mean over seeds and folds), ``value``, ``low``, ``high``.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG; empty without points.
    """
    known = points[points["value"].notna()].sort_values(["arm", "patients"])
    if known.empty:
        return Markup("")
    told = []
    with style():
        figure, axes = panel(4.5, 3.3)
        arms = list(dict.fromkeys(known["arm"]))
        for place, (arm, rows) in enumerate(known.groupby("arm", sort=False)):
            tone, aside = colour(str(arm), arms), 0.4 * (place - (len(arms) - 1) / 2)  # whiskers of two arms stand side by side
            axes.vlines(rows["patients"] + aside, rows["low"], rows["high"], color=tone, alpha=0.6, linewidth=1.6)
            axes.plot(rows["patients"] + aside, rows["value"], color=tone, marker="o", markersize=4.5, linewidth=1.4, label=str(arm))
            told += [
                f"{arm} with {row['patients']:.0f}: {number(row['value'])} ({interval(row['low'], row['high'])})"
                for row in rows.to_dict("records")
            ]
        axes.set_xlim(left=min(0.0, float(known["patients"].min())) - 2)
        axes.set_xlabel("local patients learned from or chosen on")
        axes.set_ylabel("AUROC on the local test")
        axes.legend(loc="lower right")
        return svg(figure, name=name, title="Learning curves", description="; ".join(told))
