# SPDX-License-Identifier: Apache-2.0
"""What a reader of a manifest should know of its drawings: how many, by whom, what was left out, and where they contradict the labels."""

from typing import Any, Final

import pandas as pd

from medsetu.core.table import finding_columns
from medsetu.manifest.drawing import BOX, MASK, Drawings
from medsetu.reader.drawn import CUT, SCALED

SUMMARY_COLUMNS: Final = (
    "release", "finding", "boxes", "masks", "films", "readers", "present", "present_drawn", "absent_drawn", "unseen_drawn", "cut", "scaled",
    "left_out",
)  # fmt: skip


def summarise_drawings(drawings: Drawings, manifest: pd.DataFrame, *, votes: pd.DataFrame) -> pd.DataFrame:
    """Count the drawings of each release and finding, and where they and the labels contradict each other.

    Args:
        drawings: What ``manifest.drawing.measure`` gives.
        manifest: Samples with findings.
        votes: What each reader said.

    Returns:
        One row per release and finding with ``SUMMARY_COLUMNS``: drawings placed (boxes, masks), films behind them, and readers
        by name (0 where the release does not tell them apart); films labelled present, those of them that are drawn on, and films drawn
        on though labelled absent (NaN where the finding is no label); drawings of a reader who voted absent on that very film (NaN where
        no votes are known); drawings cut at the border, scaled to a reduced copy, and left out.
    """
    found = []
    release_of = manifest.set_index("sample_id")["release"]
    problems = drawings.problems.assign(release=drawings.problems["sample_id"].map(release_of))
    names = pd.concat([drawings.table[["release", "finding"]], problems[["release", "finding"]]]).drop_duplicates()
    for release, finding in names.sort_values(["release", "finding"]).itertuples(index=False, name=None):
        rows = drawings.table[(drawings.table["release"] == release) & (drawings.table["finding"] == finding)]
        left = int(((problems["release"] == release) & (problems["finding"] == finding)).sum())
        found.append(
            {
                "release": release,
                "finding": finding,
                "boxes": int((rows["form"] == BOX).sum()),
                "masks": int((rows["form"] == MASK).sum()),
                "films": int(rows["sample_id"].nunique()),
                "readers": int(rows.loc[rows["reader"] != "", "reader"].nunique()),
                **_labels(rows, manifest[manifest["release"] == release], str(finding)),
                "unseen_drawn": _unseen(rows, votes, str(finding)),
                "cut": int((rows["note"] == CUT).sum()),
                "scaled": int((rows["note"] == SCALED).sum()),
                "left_out": left,
            }
        )
    return pd.DataFrame(found, columns=list(SUMMARY_COLUMNS))


def _labels(rows: pd.DataFrame, samples: pd.DataFrame, finding: str) -> dict[str, float]:
    if finding not in finding_columns(samples) or samples[finding].isna().all():
        return dict.fromkeys(("present", "present_drawn", "absent_drawn"), float("nan"))
    drawn, label = samples["sample_id"].isin(rows["sample_id"]), samples[finding]
    return {
        "present": int((label == 1).sum()),
        "present_drawn": int((drawn & (label == 1)).sum()),
        "absent_drawn": int((drawn & (label == 0)).sum()),
    }


def _unseen(rows: pd.DataFrame, votes: pd.DataFrame, finding: str) -> float:
    said = votes[(votes["finding"] == finding) & votes["sample_id"].isin(rows["sample_id"])]
    if said.empty:
        return float("nan")
    both = rows[["sample_id", "reader"]].drop_duplicates().merge(said[["sample_id", "reader", "vote"]], on=["sample_id", "reader"])
    return int((both["vote"] == 0).sum())


def drawing_sentences(summary: pd.DataFrame, problems: pd.DataFrame, manifest: pd.DataFrame) -> list[str]:
    """Say what is drawn, one sentence per release, and one for each reason for which drawings were left out.

    Args:
        summary: What ``summarise_drawings`` gives.
        problems: ``PROBLEM_COLUMNS``.
        manifest: Samples with their release.

    Returns:
        Sentences.

    Example:
        >>> row = dict.fromkeys(SUMMARY_COLUMNS, 0) | {"release": "a", "finding": "mass", "boxes": 3, "cut": 1}
        >>> left, samples = pd.DataFrame(columns=["sample_id", "problem"]), pd.DataFrame({"sample_id": [], "release": []})
        >>> drawing_sentences(pd.DataFrame([row]), left, samples)
        ['a: 3 boxes of 1 findings; 1 cut at the border of the image']
    """
    release_of = manifest.set_index("sample_id")["release"]
    where = problems["sample_id"].map(release_of)
    sentences = []
    for release, rows in summary.groupby("release", sort=True):
        total = rows[["boxes", "masks", "absent_drawn", "unseen_drawn", "cut", "scaled"]].sum()
        parts = [_counted(total, ["boxes", "masks"], " and ") + f" of {len(rows)} findings"]
        told: dict[str, str] = {
            "absent_drawn": "films drawn on though labelled absent",
            "unseen_drawn": "drawings of readers who voted absent",
            "cut": CUT,
            "scaled": SCALED,
        }
        parts += [f"{int(total[name])} {words}" for name, words in told.items() if total[name]]
        sentences.append(f"{release}: {'; '.join(parts)}")
        reasons = problems[where == release]["problem"].value_counts(sort=False).sort_index()
        sentences += [f"{release}: {count} drawings left out: {reason}" for reason, count in reasons.items()]
    return sentences


def _counted(total: "pd.Series[Any]", names: list[str], joint: str) -> str:
    return joint.join(f"{int(total[name])} {name}" for name in names if total[name]) or "no drawings"
