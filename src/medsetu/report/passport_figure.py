# SPDX-License-Identifier: Apache-2.0
"""Pictures of the shift passport that the report does not have: scores of both sides, strength of evidence per fact."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from medsetu.report.figure import INK, SOFT, panel, style, svg
from medsetu.report.forest import GREY, WARN, Line, above, interval_panel
from medsetu.report.number import interval, number, words
from medsetu.report.render import Drawing
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.waterfall import Waterfall

BINS = np.linspace(0.0, 1.0, 21)
TONES = {"global": "#0b6e8f", "local": "#b5541c"}
RISING, GAIN = "log loss", "#3d7a3a"
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
            axes.barh(-place, strength, height=0.5, color=WARN if row["p_adjusted"] <= alpha else GREY, alpha=0.35)
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
    lines = [Line(words(f"{row['measure']}, {row['subject']}"), row["value"], row["low"], row["high"]) for row in rows.to_dict("records")]
    return interval_panel(lines, name=name, title=title, axis=axis, zero=zero, sign=sign)


def waterfall_panel(waterfall: Waterfall, *, name: str) -> Markup:
    """Draw a gap in its parts: from the global value through each part to the local one.

    Args:
        waterfall: The gap; parts without a value are named, not drawn.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG; empty when no part has a value.
    """
    known = [part for part in waterfall.parts if not math.isnan(part.value)]
    if not known:
        return Markup("")
    direction = 1.0 if waterfall.scale == RISING else -1.0  # a loss raises the log loss and lowers everything else
    with style():
        figure, axes = panel(4.5, 1.1 + 0.5 * (len(known) + 2))
        at = waterfall.start
        axes.plot([at], [0], marker="D", color=TONES["global"], markersize=7)
        above(axes, 0, left="global", right=number(at), weight="normal")
        edges = [at]
        for place, part in enumerate(known, start=1):
            after = at + direction * part.value
            axes.plot([at, at], [-place + 1, -place], color=SOFT, linewidth=0.8, linestyle=":")
            axes.barh(-place, after - at, left=at, height=0.3, color=WARN if part.value > 0 else GAIN, alpha=0.8)
            above(axes, -place, left=part.name, right=number(after - at, sign=True), weight="normal")
            at = after
            edges.append(at)
        axes.plot([at], [-len(known) - 1], marker="D", color=TONES["local"], markersize=7)
        above(axes, -len(known) - 1, left="local", right=number(at), weight="normal")
        spread = max(max(edges) - min(edges), 1e-6)
        axes.set_xlim(min(edges) - 0.15 * spread, max(edges) + 0.15 * spread)
        axes.set_ylim(-len(known) - 1.5, 0.8)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(waterfall.scale)
        described = "; ".join(f"{part.name} {number(part.value, sign=True)} ({interval(part.low, part.high, sign=True)})" for part in known)
        return svg(figure, name=name, title=f"Waterfall of the {waterfall.scale}", description=described)


def passport_drawings(cohort: Cohort, table: pd.DataFrame, waterfalls: Sequence[Waterfall], *, alpha: float) -> list[Drawing]:
    """Choose the five pictures of a passport.

    Args:
        cohort: Films of both sides.
        table: Table with ``SHIFT_COLUMNS``.
        waterfalls: Waterfalls of the gap; the first with a known part is drawn.
        alpha: Size of the family of tests.

    Returns:
        How much, what the model says, what differs, why, what it may cheat with; a picture without numbers is left out.
    """
    gap = table[(table["section"] == "gap") & (table["unit"].isin(["AUROC", "share"])) & table["subject"].isin(["global", "local"])]
    gap = gap[gap["measure"].isin(["auroc", *gap.loc[gap["measure"] != "auroc", "measure"].unique()[:2]])]  # and one threshold
    rungs = table[(table["section"] == "shortcut") & table["measure"].isin(["ladder", "matched auroc", "auroc"])]
    rungs = rungs[rungs["subject"].str.startswith("global")]
    decomposed = [one for one in waterfalls if any(not math.isnan(part.value) for part in one.parts)]
    drawn = [
        (
            "How well the model does on each side, by patient; intervals at the level of the plan",
            line_panel(gap, name="gap", title="The model on both sides", axis="AUROC or share", zero=math.nan, sign=False),
        ),
        ("What the model says: scores of both sides", score_panel(cohort, name="scores")),
        (
            "What differs between the sides; coloured where the adjusted p is below the line",
            evidence_panel(table[table["section"] == "detect"], alpha=alpha, name="evidence"),
        ),
        *(
            (f"Why: loss in {one.scale} from the global to the local side, in parts that add up", waterfall_panel(one, name="waterfall"))
            for one in decomposed[:1]
        ),
        (
            "What tells the classes apart on the global side without the disease, beside the model",
            line_panel(rungs, name="shortcut", title="Model and shortcuts", axis="AUROC (0.5 is chance)", zero=0.5, sign=False),
        ),
    ]
    return [Drawing(caption, drawing) for caption, drawing in drawn if drawing]
