# SPDX-License-Identifier: Apache-2.0
"""Participant flow as figures, one per side: eligible, left out and why, analysed (TRIPOD+AI item 20a, CLAIM 35, STARD-AI 24)."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from medsetu.core.sample import DOMAINS
from medsetu.manifest.flow import ANALYSED, ELIGIBLE, EXCLUDED, QUARANTINED
from medsetu.report.figure import INK, SOFT, panel, style, svg
from medsetu.report.number import count

MOST_REASONS = 8
LETTERS = 42  # of a line beside the stem
WIDTH, LINE = 3.9, 0.17  # inches; one inch is 96 CSS pixels
_STEM, _BRANCH = 0.12, 0.24  # share of the width: where the arrow runs, and where the boxes of those that left begin


def flow_panels(flow: pd.DataFrame, parts: pd.DataFrame) -> list[tuple[str, Markup]]:
    """Draw the participant flow of each side, all its releases together.

    Args:
        flow: Table of ``participant_flow``; counts of samples.
        parts: Table of ``split_table``, for the parts of those analysed; empty leaves them out.

    Returns:
        Caption and inline SVG of each side that has samples, in the order global, local, external.
    """
    if flow.empty:
        return []
    sides = [side for side in DOMAINS if side in set(flow["domain"])]
    return [
        (f"{side} side: {_releases(flow, side)}", _panel(flow[flow["domain"] == side], _parts(parts, side), side=side)) for side in sides
    ]


def _panel(flow: pd.DataFrame, parts: str, *, side: str) -> Markup:
    total = flow.groupby("step")["samples"].sum()
    eligible, analysed = (f"{count(int(total.get(step, 0)))} {words}" for step, words in ((ELIGIBLE, "eligible"), (ANALYSED, "analysed")))
    gone = [part for step in (EXCLUDED, QUARANTINED) if (part := _left(flow, step))]
    boxes = [[eligible], *gone, [analysed, *textwrap.wrap(parts, LETTERS + 10)]]
    heights = [len(lines) + 0.9 for lines in boxes]
    with style():
        figure, axes = panel(WIDTH, LINE * (sum(heights) + len(boxes) + 0.5))
        axes.set(xlim=(0, 1), ylim=(-sum(heights) - len(boxes) + 0.7, 0.3))
        axes.set_axis_off()
        top = 0.0
        for place, (lines, height) in enumerate(zip(boxes, heights, strict=True)):
            branch = 0 < place < len(boxes) - 1
            _box(axes, lines, left=_BRANCH if branch else 0.0, top=top, height=height)
            if branch:
                _arrow(axes, (_STEM, top - height / 2), (_BRANCH, top - height / 2))
            top -= height + 1
        _arrow(axes, (_STEM, -heights[0]), (_STEM, top + 1 + heights[-1]))
        told = "; ".join(" ".join(lines) for lines in boxes)
        return svg(figure, name=f"flow-{side}", title=f"Participant flow of the {side} side, samples", description=told)


def _left(flow: pd.DataFrame, step: str) -> list[str]:
    """Lines of those that left in one step: their number, then each reason."""
    reasons = flow[flow["step"] == step].groupby("reason")["samples"].sum().sort_values(ascending=False, kind="stable")
    if reasons.empty:
        return []
    shown, rest = reasons.iloc[:MOST_REASONS], reasons.iloc[MOST_REASONS:]
    lines = [f"{count(int(reasons.sum()))} {step}"]
    for reason, samples in shown.items():
        lines += textwrap.wrap(f"{count(int(samples))}: {reason}", LETTERS, subsequent_indent="   ")
    return [*lines, f"{count(int(rest.sum()))}: {len(rest)} more reasons"] if len(rest) else lines


def _box(axes: Axes, lines: Sequence[str], *, left: float, top: float, height: float) -> None:
    axes.add_patch(Rectangle((left, top - height), 1 - left, height, facecolor="none", edgecolor=SOFT, linewidth=1, clip_on=False))
    for place, line in enumerate(lines):
        weight = "bold" if place == 0 else "normal"
        axes.text(left + 0.025, top - 0.45 - place, line, ha="left", va="top", color=INK, fontsize=8.5, fontweight=weight)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    arrow = {"arrowstyle": "-|>", "color": SOFT, "linewidth": 1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
    axes.annotate("", xy=end, xytext=start, arrowprops=arrow, annotation_clip=False)


def _releases(flow: pd.DataFrame, side: str) -> str:
    return ", ".join(dict.fromkeys(flow.loc[flow["domain"] == side, "release"].astype(str)))


def _parts(parts: pd.DataFrame, side: str) -> str:
    """Samples of each part, such as ``train 70, val 12, test 22``."""
    if parts.empty:
        return ""
    own = parts[parts["domain"] == side].drop_duplicates(["release", "split"])
    return ", ".join(f"{split} {count(int(samples))}" for split, samples in own.groupby("split", sort=False)["samples"].sum().items())
