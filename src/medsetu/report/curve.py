# SPDX-License-Identifier: Apache-2.0
"""ROC curves, reliability curves and learning curves, with bands, as small panels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes

from medsetu.evaluation.bootstrap import patient_strata, patient_weights
from medsetu.evaluation.calibration import reliability
from medsetu.evaluation.curve import curve, sensitivity_at_rates
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.kernel import seed_weights
from medsetu.evaluation.score import ScoreMatrix
from medsetu.report.figure import SOFT, colour, panel, style, svg
from medsetu.report.number import number, words
from medsetu.shift.pairing import Side

RATES = np.linspace(0.0, 1.0, 101)
REPLICATES = 400  # of the ROC bands: their ends are read off a figure, not off a table
FEWEST = 10  # films of a class below which no band is drawn
BINS = 5  # of a reliability curve below LARGE films, else 10
LARGE = 500
SIDES = {"train": ("#8a97a3", ":"), "val/global": ("#0b6e8f", "-"), "val/local": ("#b5541c", "--")}


@dataclass(frozen=True)
class RocBand:
    """A ROC curve, averaged over models, with its pointwise band.

    Attributes:
        sensitivity: (R,) at the false-positive rates ``RATES``.
        low: (R,) lower end; NaN where a class is too small.
        high: (R,) upper end.
    """

    sensitivity: Floats
    low: Floats
    high: Floats


def roc_band(matrix: ScoreMatrix, *, level: float = 0.95, replicates: int = REPLICATES, seed: int = 0) -> RocBand:
    """Average the ROC curves of all models at equal false-positive rates, and resample patients for a pointwise band.

    Args:
        matrix: Labels and scores; every training seed has the same weight.
        level: Content of the band in (0, 1).
        replicates: Resamples of patients, those with and those without a positive image apart.
        seed: Seed of the resamples.

    Returns:
        The curve and its band; NaN where a class is absent.
    """
    shares = seed_weights(matrix.seed.size, seed=matrix.seed)
    everyone = np.ones((1, matrix.label.size))
    mean = _averaged(matrix, everyone, shares)[0]
    if min(matrix.label.sum(), (1 - matrix.label).sum()) < FEWEST:
        return RocBand(mean, np.full(RATES.size, np.nan), np.full(RATES.size, np.nan))
    strata = patient_strata(matrix.label, matrix.cluster)
    drawn = [
        _averaged(matrix, weight, shares) for weight in patient_weights(matrix.cluster, replicates=replicates, seed=seed, strata=strata)
    ]
    low, high = np.nanquantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return RocBand(mean, low, high)


def _averaged(matrix: ScoreMatrix, weight: Floats, shares: Floats) -> Floats:
    rows = [sensitivity_at_rates(curve(matrix.label, score, weight=weight), rates=RATES) for score in matrix.scores]
    found: Floats = np.tensordot(shares, np.stack(rows), axes=1)
    return found


def roc_panel(side: Side, *, level: float, name: str) -> Markup:
    """Draw the ROC curves of all arms on one side.

    Args:
        side: The films, paired over arms.
        level: Content of the bands.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG.
    """
    told = []
    with style():
        figure, axes = panel()
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
        for arm, scores in side.arms.items():
            band, tone = roc_band(scores.matrix, level=level), colour(arm, list(side.arms))
            value = float(scores.parts.averaged(scores.seed).auroc[0])
            axes.fill_between(RATES, band.low, band.high, color=tone, alpha=0.13, linewidth=0)
            axes.plot([0, *RATES], [0, *band.sensitivity], color=tone, linewidth=1.8, label=f"{arm}  {number(value)}")
            told.append(f"{arm} AUROC {number(value)}")
        _square(axes, x="1 − specificity", y="sensitivity")
        axes.legend(loc="lower right", handlelength=1.4)
        return svg(figure, name=name, title=f"ROC curves, {side.name}", description=f"{'; '.join(told)}; {side.sample_id.size} films")


def reliability_panel(side: Side, arm: str, *, level: float, name: str) -> Markup:
    """Draw the reliability curve of one arm on one side: mean score against the share of positives, in groups of equal size.

    Args:
        side: The films.
        arm: The arm.
        level: Level of the Wilson intervals.
        name: Name of the figure, unique on its page.

    Returns:
        Inline SVG; empty without films.
    """
    matrix = side.arms[arm].matrix
    if matrix.label.size == 0:
        return Markup("")
    points = reliability(matrix, bins=BINS if matrix.label.size < LARGE else 2 * BINS, level=level)
    tone = colour(arm, list(side.arms))
    with style():
        figure, axes = panel(2.7, 2.7)
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
        axes.fill_between(points.score, points.low, points.high, color=tone, alpha=0.13, linewidth=0)
        axes.vlines(points.score, points.low, points.high, color=tone, linewidth=1)
        axes.plot(points.score, points.frequency, color=tone, linewidth=1.5, marker="o", markersize=4)
        _square(axes, x="mean score", y="share with the finding")
        told = "; ".join(
            f"mean score {number(x, digits=2)}: {number(y, digits=2)} have it" for x, y in zip(points.score, points.frequency, strict=True)
        )
        return svg(figure, name=name, title=f"Reliability of {arm} on the {side.name} side", description=told)


def _square(axes: Axes, *, x: str, y: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y, aspect="equal")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])


def learning_panels(histories: Mapping[str, pd.DataFrame], *, finding: str) -> list[tuple[str, Markup]]:
    """Draw the learning curves: one panel per stage and quantity, one thin line per run, the mean over runs in bold.

    Args:
        histories: ``<run>/<stage>`` -> table of ``epoch`` and metrics such as ``train/loss`` or ``val/local/tuberculosis/auroc``.
        finding: Of quantities that stand for one finding only this one is drawn; the others lie beside the weights.

    Returns:
        Caption and inline SVG of each panel, in the order of the stages.
    """
    stages: dict[str, list[pd.DataFrame]] = {}
    for name, table in histories.items():
        stages.setdefault(name.rsplit("/", 1)[-1], []).append(table)
    panels: list[tuple[str, Markup]] = []
    for number_, (stage, tables) in enumerate(stages.items()):
        for quantity, columns in _quantities(tables, finding=finding).items():
            caption = f"{words(stage)}: {words(quantity.replace('/', ' '))}"
            drawing = _learning_panel(tables, columns, caption=caption, name=f"learning-{number_}-{len(panels)}")
            panels += [(caption, drawing)] if drawing else []
    return panels


def _quantities(tables: Sequence[pd.DataFrame], *, finding: str) -> dict[str, dict[str, str]]:
    """Columns of each quantity by where they were measured: ``loss -> {train: train/loss, val/local: val/local/loss}``."""
    found: dict[str, dict[str, str]] = {}
    for column in dict.fromkeys(name for table in tables for name in table.columns):
        parts = str(column).split("/")
        place = 2 if parts[0] == "val" else 1
        rest = parts[place:]
        if not rest or (len(rest) > 1 and rest[0] != finding) or parts[0] not in ("train", "val"):
            continue
        found.setdefault("/".join(rest), {})["/".join(parts[:place])] = str(column)
    return found


def _learning_panel(tables: Sequence[pd.DataFrame], columns: Mapping[str, str], *, caption: str, name: str) -> Markup:
    told = []
    with style():
        figure, axes = panel(3.6, 2.7)
        for side, column in columns.items():
            tone, line = SIDES.get(side, ("#3d7a3a", "-"))
            lines = [lined for table in tables if (lined := _line(table, column)) is not None]
            if not lines:
                continue
            for one in lines:
                axes.plot(one.index, one.to_numpy(), color=tone, linewidth=0.6, alpha=0.35, linestyle=line)
            mean = pd.concat(lines, axis=1).mean(axis=1).sort_index()
            axes.plot(
                mean.index,
                mean.to_numpy(),
                color=tone,
                linewidth=1.9,
                linestyle=line,
                label=side,
                marker="o" if len(mean) < 3 else "",
                markersize=4,
            )
            told.append(f"{side}, mean of {len(lines)} runs: {number(mean.iloc[0])} to {number(mean.iloc[-1])}")
        if not told:
            return Markup("")
        axes.set_xlabel("epoch")
        axes.legend(loc="best", handlelength=2)
        return svg(figure, name=name, title=f"Learning curve, {caption}", description="; ".join(told))


def _line(table: pd.DataFrame, column: str) -> "pd.Series[float] | None":
    if column not in table.columns or "epoch" not in table.columns:
        return None
    values = table.dropna(subset=[column]).groupby("epoch")[column].last().astype(float)
    return values if len(values) else None


def curve_sides(sides: Mapping[str, Side]) -> Iterable[Side]:
    """List the sides whose films have both classes.

    Args:
        sides: Sides by name.

    Yields:
        Those on which a curve can be drawn.
    """
    for side in sides.values():
        label = next(iter(side.arms.values())).matrix.label
        if 0 < label.sum() < label.size:
            yield side
