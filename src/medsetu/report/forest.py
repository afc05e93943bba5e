# SPDX-License-Identifier: Apache-2.0
"""Two figures of intervals: the forest plot of the contrasts, and the bars of the shortcut ladder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes

from medsetu.report.figure import INK, SOFT, colour, panel, style, svg
from medsetu.report.number import interval, number
from medsetu.shift.contrast import RECOVERED
from medsetu.shift.shortcut import INFLATED_FROM

SHORT = 24  # letters of a contrast that stand beside its numbers on the width of a phone
WARN, GREY = "#a3341f", "#8a97a3"


@dataclass(frozen=True)
class Line:
    """A number with its interval, as one line of a figure.

    Attributes:
        label: What it is.
        value: The number.
        low: Lower end; NaN draws no interval.
        high: Upper end.
        bold: Whether it is the headline.
        tone: Colour.
    """

    label: str
    value: float
    low: float
    high: float
    bold: bool = False
    tone: str = INK

    @property
    def told(self) -> str:
        """The line in words."""
        between = interval(self.low, self.high)
        return f"{self.label} {number(self.value)}" + (f" ({between})" if between else "")


def interval_panel(
    lines: Sequence[Line], *, name: str, title: str, axis: str, zero: float = 0.0, sign: bool = True, band: float = 0.0
) -> Markup:
    """Draw numbers with their intervals; the name stands above its line, so that it fits a phone.

    Args:
        lines: What to draw, from top to bottom.
        name: Name of the figure, unique on its page.
        title: What it shows.
        axis: Label of the axis, with the unit.
        zero: Where the line of no effect stands; NaN draws none.
        sign: Write the sign of positive numbers.
        band: Half width of the shaded margin around ``zero``; 0 draws none.

    Returns:
        Inline SVG; empty when there is nothing to draw.
    """
    if not lines:
        return Markup("")
    with style():
        figure, axes = panel(4.5 if max(len(line.label) for line in lines) <= SHORT else 5.8, 0.75 + 0.52 * len(lines))
        if band:
            axes.axvspan(zero - band, zero + band, color="#e8eef2", zorder=0)
        if not math.isnan(zero):
            axes.axvline(zero, color=SOFT, linewidth=1)
        for place, line in enumerate(lines):
            axes.plot([line.low, line.high], [-place, -place], color=line.tone, linewidth=2, solid_capstyle="butt")
            axes.plot([line.value], [-place], marker="s", color=line.tone, markersize=7 if line.bold else 5)
            between = interval(line.low, line.high, sign=sign)
            told = number(line.value, sign=sign) + (f"  [{between}]" if between else "")
            above(axes, -place, left=line.label, right=told, weight="bold" if line.bold else "normal")
        axes.set_ylim(-len(lines) + 0.55, 0.75)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(axis)
        return svg(figure, name=name, title=title, description="; ".join(line.told for line in lines))


def forest(contrasts: pd.DataFrame, *, margin: float, name: str) -> Markup:
    """Draw the contrasts that are differences of AUROC, each with its interval.

    Args:
        contrasts: Contrasts of a transfer matrix.
        margin: Equivalence margin in AUROC, shaded around zero; NaN draws none.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG; empty when no contrast has an interval.
    """
    rows = contrasts[contrasts["low"].notna() & (contrasts["name"] != RECOVERED)]
    lines = [
        Line(f"{row['name']} ({row['formula'].replace('-', '−')})", row["value"], row["low"], row["high"], bold=bool(row["headline"]))
        for row in rows.to_dict("records")
    ]
    shaded = 0.0 if math.isnan(margin) else margin
    axis = "difference of AUROC" + (f"; shaded: within the margin of {margin:g}" if shaded else "")
    return interval_panel(lines, name=name, title="Contrasts with their intervals", axis=axis, band=shaded)


def above(axes: Axes, place: float, *, left: str, right: str, weight: str) -> None:
    """Write what a line is, and its number, above it."""
    where = axes.get_yaxis_transform()
    axes.text(0.0, place + 0.22, left, transform=where, ha="left", va="bottom", fontweight=weight)
    axes.text(1.0, place + 0.22, right, transform=where, ha="right", va="bottom", fontweight=weight)


@dataclass(frozen=True)
class _Bar:
    label: str
    value: float
    low: float = math.nan
    high: float = math.nan
    tone: str = GREY

    @property
    def bounded(self) -> bool:
        """Whether there is an interval to draw."""
        return not math.isnan(self.low)


def ladder_bars(rows: pd.DataFrame, *, name: str) -> Markup:
    """Draw the rungs of one side, and the arms that were tested on it, as AUROC with intervals.

    Args:
        rows: Rows of a shortcut ladder, one side, all arms.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG; empty when no rung could be measured.
    """
    rungs = rows.drop_duplicates("rung")
    rungs = rungs[rungs["value"].notna()].sort_values("value", ascending=False)
    if rungs.empty:
        return Markup("")
    best = rows[rows["best"]].drop_duplicates("arm")
    arms = list(best["arm"])
    bars = [
        _Bar(f"{row['arm']}: the model", row["value"] + row["skill_above"], tone=colour(row["arm"], arms))
        for row in best.to_dict("records")
    ]
    bars += [
        _Bar(str(row["rung"]), row["value"], low=row["low"], high=row["high"], tone=WARN if row["low"] > INFLATED_FROM else GREY)
        for row in rungs.to_dict("records")
    ]
    with style():
        figure, axes = panel(4.4, 0.6 + 0.42 * len(bars))
        for place, bar in enumerate(bars):
            axes.barh(-place, bar.value - 0.5, left=0.5, height=0.42, color=bar.tone, alpha=0.75 if bar.bounded else 1.0)
            if bar.bounded:
                axes.plot([bar.low, bar.high], [-place, -place], color=INK, linewidth=1.6)
            above(axes, -place, left=bar.label, right=number(bar.value), weight="normal")
        low = min([0.5, *(bar.low - 0.02 for bar in bars if bar.bounded), *(bar.value - 0.02 for bar in bars)])
        axes.set_xlim(low, 1.0)
        axes.set_ylim(-len(bars) + 0.5, 0.75)
        if low < 0.5:
            axes.axvline(0.5, color=SOFT, linewidth=1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("AUROC (0.5 is chance)")
        told = "; ".join(f"{bar.label} {number(bar.value)}" + (f" ({interval(bar.low, bar.high)})" if bar.bounded else "") for bar in bars)
        return svg(figure, name=name, title="Model and shortcuts, AUROC", description=told)
