# SPDX-License-Identifier: Apache-2.0
"""Example films: which ones are shown, by a protocol fixed before anyone looks, and how they become pictures of a page."""

import base64
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medsetu.core.sample import LOCAL
from medsetu.evaluation.decision import Rule, fit_all
from medsetu.report.content import Example
from medsetu.report.number import number, words

SIDE_PIXELS = 256  # longest side of a picture on the page
OUTCOMES = {(1, False): "false negative", (0, True): "false positive", (1, True): "true positive", (0, False): "true negative"}
PROTOCOL = (
    "Films of the local test at the refitted threshold (chosen on val/local for sensitivity {target:g}) of {arm}, seed {seed}: "
    "false negatives first, then false positives, then correct calls; at most {most} of each, drawn with seed {draw}."
)


@dataclass(frozen=True)
class Choice:
    """A film to show.

    Attributes:
        sample_id: Which film, for the caller to read its pixels; never printed.
        finding: The finding.
        label: 1 or 0.
        score: Probability in [0, 1].
        why: ``false negative at threshold 0.42``, and so on.
    """

    sample_id: str
    finding: str
    label: float
    score: float
    why: str

    def example(self, pixels: NDArray[np.float32]) -> Example:
        """Join the choice to its picture.

        Args:
            pixels: (H, W) float32 in [0, 1].

        Returns:
            The example.
        """
        return Example(self.sample_id, pixels, self.finding, self.label, self.score, self.why)


def choose_films(
    predictions: pd.DataFrame, *, finding: str, arm: str, target: float = 0.9, most: int = 4, seed: int = 0
) -> tuple[list[Choice], str]:
    """Choose films of the local test by protocol, not by taste: errors first, drawn with a seed.

    Args:
        predictions: Long table with ``PREDICTION_COLUMNS``.
        finding: The finding, by name.
        arm: The arm whose calls are shown; its lowest training seed is taken.
        target: Sensitivity that the threshold reaches on validation, in [0, 1].
        most: Films of each outcome at most.
        seed: Seed of the draw.

    Returns:
        The choices, false negatives first, and the protocol in a sentence; no choice where the arm has no val/local scores.
    """
    rows = predictions[(predictions["finding"] == finding) & (predictions["arm"] == arm) & (predictions["domain"] == LOCAL)]
    first = int(rows["seed"].min()) if len(rows) else 0
    rows = rows[(rows["seed"] == first) & rows["label"].notna()]
    fitted = fit_all(
        rows[rows["split"] == "val"], rules=(Rule("sensitivity", target),), kind="refitted", origin="val/local", replicates=0, seed=seed
    )
    protocol = PROTOCOL.format(target=target, arm=arm, seed=first, most=most, draw=seed)
    if not fitted:
        return [], protocol
    threshold = {fold: value for (_, fold), value in fitted[0].value.items()}
    tested = rows[(rows["split"] == "test") & rows["fold"].isin(list(threshold))].sort_values(["sample_id", "fold"])
    tested = tested.drop_duplicates("sample_id")
    cut = tested["fold"].map(threshold)
    outcome = [OUTCOMES[int(label), bool(score >= at)] for label, score, at in zip(tested["label"], tested["score"], cut, strict=True)]
    generator = np.random.default_rng(seed)
    choices = []
    for name in OUTCOMES.values():
        group = tested[np.array(outcome, dtype=object) == name]
        for place in np.sort(generator.permutation(len(group))[:most]):
            row = group.iloc[place]
            why = f"{name} at threshold {number(float(cut.loc[group.index[place]]))}"
            choices.append(Choice(str(row["sample_id"]), finding, float(row["label"]), float(row["score"]), why))
    return choices, protocol


def picture(example: Example) -> str:
    """Write the pixels as a PNG inside an address, so that the page loads nothing.

    Args:
        example: The film; intensities outside [0, 1] are cut.

    Returns:
        ``data:image/png;base64,...``, longest side ``SIDE_PIXELS`` at most, without any metadata.
    """
    grey = Image.fromarray(np.round(np.clip(example.pixels, 0.0, 1.0) * 255).astype(np.uint8))
    grey.thumbnail((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BOX)
    buffer = io.BytesIO()
    grey.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def alternative(example: Example) -> str:
    """Say in words what a picture shows: finding, label and score, never whose film it is.

    Example:
        >>> film = Example("nitrd/7.png", np.zeros((2, 2), np.float32), "tuberculosis", 1.0, 0.25, "false negative")
        >>> alternative(film)
        'Chest film, tuberculosis present, score 0.250, false negative'
    """
    truth = "present" if example.label == 1 else "absent"
    return f"Chest film, {words(example.finding)} {truth}, score {number(example.score)}, {example.why}"
