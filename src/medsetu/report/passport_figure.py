# SPDX-License-Identifier: Apache-2.0
"""Pictures of the shift passport that the report does not have: scores of both sides, strength of evidence per fact."""

import math

import numpy as np
import pandas as pd
from markupsafe import Markup

from medsetu.report.figure import INK, SOFT, panel, style, svg
from medsetu.report.forest import GREY, WARN, Line, interval_panel
from medsetu.report.number import number, words
from medsetu.shift.cohort import Cohort, Films

BINS = np.linspace(0.0, 1.0, 21)
TONES = {"global": "#0b6e8f", "local": "#b5541c"}
MOST = 9  # lines of one picture


def score_panel(cohort: Cohort, *, name: str) -> Markup:
    """Draw how the scores are distributed on both sides, films with and without the finding apart.

    Args:
        cohort: Films of both sides; those of unknown label are drawn as one group.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG.
    """
    told = []
    with style():
        figure, axes = panel(4.5, 3.1)
        for side, films in (("global", cohort.global_films), ("local", cohort.local_films)):
            for label, dash in _groups(films):
                scores = films.score[label.mask]
                share = np.histogram(scores, BINS)[0] / len(scores)
                drawn = share if side == "global" else -share
                axes.stairs(drawn, BINS, color=TONES[side], linestyle=dash, linewidth=1.6, label=f"{side}, {label.words}")
                told.append(f"{side}, {label.words}: {len(scores)} films, median score {number(float(np.median(scores)))}")
        axes.axhline(0, color=SOFT, linewidth=1)
        axes.set_xlim(0, 1)
        axes.set_xlabel("score of the model (probability)")
        axes.set_ylabel("share of films (global up, local down)")
        ticks = axes.get_yticks()
        axes.set_yticks(ticks, [f"{abs(tick):.2g}" for tick in ticks])
        axes.legend(loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.24), handlelength=1.6)
        return svg(figure, name=name, title="Scores on both sides", description="; ".join(told))


class _Group:
    def __init__(self, told: str, mask: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> None:
        self.words = told
        self.mask = mask


def _groups(films: Films) -> list[tuple[_Group, str]]:
    found = [
        (_Group("finding present", films.label == 1), "-"),
        (_Group("finding absent", films.label == 0), ":"),
        (_Group("label unknown", np.isnan(films.label)), "--"),
    ]
    return [(group, dash) for group, dash in found if group.mask.any()]


def evidence_panel(table: pd.DataFrame, *, alpha: float, name: str) -> Markup:
    """Draw how strong the evidence is that each fact, score and feature layer differs between the sides.

    Args:
        table: Lines of section ``detect`` that carry a p-value.
        alpha: Size of the family of tests.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG; empty when nothing was tested.
    """
    tested = table[table["p_adjusted"].notna()].sort_values("p_adjusted", kind="stable").head(MOST)
    if tested.empty:
        return Markup("")
    with style():
        figure, axes = panel(4.5, 0.7 + 0.36 * len(tested))
        for place, row in enumerate(tested.to_dict("records")):
            strength = -math.log10(max(float(row["p_adjusted"]), 1e-6))
            axes.barh(-place, strength, height=0.5, color=WARN if row["p_adjusted"] <= alpha else GREY, alpha=0.8)
            axes.text(0.06, -place, f"{words(str(row['subject']))} ({words(str(row['measure']))})", va="center", color=INK, fontsize=8.5)
        axes.axvline(-math.log10(alpha), color=SOFT, linewidth=1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlim(0, max(4.0, axes.get_xlim()[1]))
        axes.set_xlabel(f"evidence, −log10 of adjusted p (line: {alpha:g})")
        described = "; ".join(f"{row['subject']} adjusted p {number(row['p_adjusted'])}" for row in tested.to_dict("records"))
        return svg(figure, name=name, title="What differs between the sides", description=described)


def line_panel(table: pd.DataFrame, *, name: str, title: str, axis: str, zero: float, sign: bool) -> Markup:
    """Draw lines of the shift table with their intervals.

    Args:
        table: Lines with ``SHIFT_COLUMNS``, of one unit.
        name: Name of the figure, unique on its page.
        title: What it shows.
        axis: Label of the axis, with the unit.
        zero: Where the line of no effect stands; NaN draws none.
        sign: Write the sign of positive numbers.

    Returns:
        Inline SVG; empty when no line has a number.
    """
    rows = table[table["value"].notna()].head(MOST)
    lines = [Line(words(str(row["subject"])), row["value"], row["low"], row["high"]) for row in rows.to_dict("records")]
    return interval_panel(lines, name=name, title=title, axis=axis, zero=zero, sign=sign)
