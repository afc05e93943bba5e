# SPDX-License-Identifier: Apache-2.0
"""Figures of a tournament: AUROC of all contestants, their differences, and average ranks with the critical difference."""

import math

from markupsafe import Markup

from medsetu.contest.critical import Critical
from medsetu.contest.tournament import Tournament
from medsetu.report.figure import INK, SOFT, panel, style, svg
from medsetu.report.forest import Line, interval_panel
from medsetu.report.number import number


def standings_forest(found: Tournament, *, name: str) -> Markup:
    """Draw the AUROC of every contestant with its interval, best first; those that tie with the leader in ink, the others softly.

    Args:
        found: The tournament.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG; empty where nobody has an AUROC.
    """
    rows = found.standings[found.standings["auroc"].notna()]
    lines = [
        Line(
            f"{row['contestant']} (rank {row['rank']})",
            *(row["auroc"], row["auroc_low"], row["auroc_high"]),
            bold=bool(row["leads"]),
            tone=INK if row["tied_with_leader"] else SOFT,
        )
        for row in rows.to_dict("records")
    ]
    axis = f"AUROC, {found.plan.level:.0%} interval"
    return interval_panel(lines, name=name, title="AUROC of every contestant", axis=axis, zero=math.nan, sign=False)


def difference_forest(found: Tournament, *, name: str) -> Markup:
    """Draw the differences from the reference, or from the leader where there is none, with the margin shaded.

    Args:
        found: The tournament.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG; empty where no pair has an interval.
    """
    against = found.plan.reference or found.leader
    rows = found.pairs[(found.pairs["metric"] == "auroc") & found.pairs["low"].notna()]
    lines = []
    for row in rows.to_dict("records"):
        if row["second"] == against:
            lines.append(Line(f"{row['first']} − {against}", row["value"], row["low"], row["high"]))
        elif row["first"] == against:
            lines.append(Line(f"{row['second']} − {against}", -row["value"], -row["high"], -row["low"]))
    lines.sort(key=lambda line: -line.value)
    axis = f"difference of AUROC; shaded: within the margin of {found.plan.margin:g}"
    return interval_panel(lines, name=name, title=f"Differences from {against}", axis=axis, band=found.plan.margin)


def critical_panel(found: Critical, *, name: str) -> Markup:
    """Draw average ranks over releases, with the critical difference as a bar (Demšar 2006).

    Args:
        found: Average ranks.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG; empty where the diagram is refused.
    """
    if found.refused:
        return Markup("")
    best = found.ranks[0][1]
    with style():
        figure, axes = panel(4.8, 0.9 + 0.34 * len(found.ranks))
        axes.plot([best, best + found.difference], [0.7, 0.7], color=INK, linewidth=3, solid_capstyle="butt")
        axes.text(best, 0.85, f"critical difference {number(found.difference, digits=2)}", va="bottom")
        for place, (contestant, rank) in enumerate(found.ranks):
            tied = rank - best <= found.difference
            axes.plot([rank], [-place], marker="s", color=INK if tied else SOFT, markersize=5)
            axes.text(rank, -place, f"  {contestant} {number(rank, digits=2)}", va="center", color=INK if tied else SOFT)
        axes.axvspan(best, best + found.difference, color="#e8eef2", zorder=0)
        axes.set_xlim(0.8, len(found.ranks) + 1.6)
        axes.set_ylim(-len(found.ranks) + 0.4, 1.5)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"average rank over {len(found.releases)} releases (1 is best)")
        ranked = "; ".join(f"{contestant} {number(rank, digits=2)}" for contestant, rank in found.ranks)
        return svg(
            figure, name=name, title="Average ranks", description=f"{ranked}; critical difference {number(found.difference, digits=2)}"
        )
