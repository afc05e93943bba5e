# SPDX-License-Identifier: Apache-2.0
"""Train, validation and test of each side: by patient, stratified, seeded; official splits honoured, small local sides cross-fitted."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from medsetu.core.errors import ConfigError, DataError, LeakageError
from medsetu.core.sample import DOMAINS, EXTERNAL, LOCAL
from medsetu.core.table import finding_columns
from medsetu.manifest.assign import assign, classes, strata
from medsetu.manifest.plan import SplitPlan
from medsetu.manifest.prepared import FIXED, SPLIT_COLUMNS

CROSSFIT = "crossfit"
UNUSED = "unused"
_NEEDED = ("sample_id", "patient_id", "group_id", "release", "domain", "site", "official_split")
_TEXT = pd.StringDtype(na_value=float("nan"))


@dataclass
class Drawn:
    """Splits as drawn.

    Attributes:
        splits: Long table ``sample_id, domain, repeat, fold, split``.
        modes: Side to "fixed" or "crossfit".
        notes: Sentences for the reader.
    """

    splits: pd.DataFrame
    modes: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def draw(manifest: pd.DataFrame, *, plan: SplitPlan, seed: int) -> Drawn:
    """Draw the splits of all sides.

    Args:
        manifest: Samples of all sides with ``group_id``, after duplicates were settled.
        plan: Shares, folds and rules.
        seed: Seed; equal manifest, plan and seed give equal splits everywhere.

    Returns:
        The splits; what an official split cannot use stands in no row.

    Raises:
        DataError: A side has one class only, or too few patients.
        LeakageError: A patient stands in two parts of an official split.
    """
    tables: list[pd.DataFrame] = []
    drawn = Drawn(pd.DataFrame(columns=list(SPLIT_COLUMNS)))
    manifest = manifest[[*_NEEDED, *finding_columns(manifest)]]  # a side is copied more than once: only what is looked at
    for domain in DOMAINS:
        rows = manifest[manifest["domain"] == domain]
        if rows.empty:
            continue
        official = _official(rows, plan)
        drawn.modes[domain] = CROSSFIT if domain == LOCAL and _is_small(rows, official, plan) else "fixed"
        if domain == EXTERNAL:
            cells = [_cell(rows, pd.Series("test", index=rows.index))]
            drawn.notes += _one_class_notes(rows)
        elif drawn.modes[domain] == CROSSFIT:
            cells = _crossfit(rows, plan=plan, seed=seed)
        else:
            cells = [_cell(rows, _fixed(rows, official, plan=plan, seed=seed))]
        tables += cells
        drawn.notes += _part_notes(rows, cells)
    splits = pd.concat(tables, ignore_index=True)
    text = {name: _TEXT if kind == "str" else kind for name, kind in SPLIT_COLUMNS.items()}
    drawn.splits = splits[splits["split"] != UNUSED].astype(text).reset_index(drop=True)
    return drawn


def cell(splits: pd.DataFrame, *, repeat: int, fold: int) -> pd.Series:
    """Read one cell: all fixed sides, and the named fold of the cross-fitted side.

    Args:
        splits: Splits table.
        repeat: Repeat of the cross-fitting; not used when fold is -1.
        fold: Fold that is tested; -1 for the fixed sides only.

    Returns:
        Series of split (train, val, test), indexed by sample_id.

    Raises:
        ConfigError: There is no such repeat or fold.

    Example:
        >>> splits = pd.DataFrame({"sample_id": ["a", "b"], "repeat": [-1, 0], "fold": [-1, 2], "split": ["train", "test"]})
        >>> cell(splits, repeat=0, fold=2).to_dict(), cell(splits, repeat=0, fold=-1).to_dict()
        ({'a': 'train', 'b': 'test'}, {'a': 'train'})
    """
    fixed = splits["repeat"] == FIXED
    chosen = (splits["repeat"] == repeat) & (splits["fold"] == fold)
    if fold != FIXED and not chosen.any():
        there = splits.loc[~fixed, ["repeat", "fold"]].drop_duplicates()
        raise ConfigError(
            what=f"Repeat {repeat}, fold {fold} does not exist",
            where=f"The frozen splits hold {there['repeat'].nunique()} repeats of {there['fold'].nunique()} folds",
            remedy="Choose a repeat and fold below these numbers, or fold=-1 where no side is cross-fitted",
        )
    wanted = splits[fixed | chosen] if fold != FIXED else splits[fixed]
    return wanted.set_index("sample_id")["split"]


def split_column(manifest: pd.DataFrame, drawn: Drawn) -> pd.Series:
    """Summarise the splits in one column: train, val, test, "crossfit" or "unused"."""
    fixed = drawn.splits[drawn.splits["repeat"] == FIXED].set_index("sample_id")["split"]
    column = manifest["sample_id"].map(fixed)
    crossed = manifest["sample_id"].isin(drawn.splits.loc[drawn.splits["repeat"] != FIXED, "sample_id"])
    return column.where(~crossed, CROSSFIT).fillna(UNUSED).astype(_TEXT)


def _cell(rows: pd.DataFrame, split: pd.Series, *, repeat: int = FIXED, fold: int = FIXED) -> pd.DataFrame:
    return rows[["sample_id", "domain"]].assign(repeat=repeat, fold=fold, split=split)


def _official(rows: pd.DataFrame, plan: SplitPlan) -> pd.Series:
    """Return the official split of releases where it is complete: every sample has one, and train and test both occur."""
    said = rows["official_split"].fillna("")
    releases = said.groupby(rows["release"])
    complete = releases.transform(lambda split: "" not in set(split) and {"train", "test"} <= set(split)).astype(bool)
    return said.where(complete & plan.official, "")


def _is_small(rows: pd.DataFrame, official: pd.Series, plan: SplitPlan) -> bool:
    if plan.crossfit.when != "auto":
        return plan.crossfit.when == "always"
    drawn = plan.test * float((official == "").sum())
    return not (official == "test").any() and drawn < max(plan.minimum_test, 1)


def _crossfit(rows: pd.DataFrame, *, plan: SplitPlan, seed: int) -> list[pd.DataFrame]:
    folds = plan.crossfit.folds
    _require_classes(rows, plan, parts=folds, why=f"{folds} folds")
    cells = []
    for repeat in range(plan.crossfit.repeats):
        table = strata(rows)
        tested = assign(table, shares=[1 / folds] * folds, seed=f"{seed}/{repeat}")
        for fold in range(folds):
            inner = assign(table[tested != fold], shares=[1 - plan.val, plan.val], seed=f"{seed}/{repeat}/{fold}")
            part = inner.map({0: "train", 1: "val"}).reindex(table.index).fillna("test")
            cells.append(_cell(rows, rows["group_id"].map(part), repeat=repeat, fold=fold))
    return cells


def _fixed(rows: pd.DataFrame, official: pd.Series, *, plan: SplitPlan, seed: int) -> pd.Series:
    _refuse_straddling_patients(rows, official)
    part = _official_groups(rows, official)
    names = ["train", "val", "test"]
    shares = {"": [1 - plan.val - plan.test, plan.val, plan.test], "train": [1 - plan.val, plan.val, 0.0]}
    has_val = set(rows.loc[official == "val", "release"])
    own_val = rows.loc[(official == "train") & rows["release"].isin(has_val), "group_id"]
    parts = 1 + sum(bool((official == name).any()) or share > 0 for name, share in (("val", plan.val), ("test", plan.test)))
    _require_classes(rows, plan, parts=parts, why=f"{parts} parts")
    drawn = part.copy()
    for kind, wanted in shares.items():
        groups = part.index[(part == kind) & ~part.index.isin(own_val)]
        if len(groups):
            table = strata(rows[rows["group_id"].isin(groups)])
            drawn.update(assign(table, shares=wanted, seed=seed).map(dict(enumerate(names))))
    split = rows["group_id"].map(drawn)
    # a film that a release trains on leaves when its duplicate is tested elsewhere
    return split.where(~((official == "train") & (split == "test")), UNUSED)


def _official_groups(rows: pd.DataFrame, official: pd.Series) -> pd.Series:
    """Give each group the most closed official part that any of its samples has."""
    rank = official.map({"": 0, "train": 1, "val": 2, "test": 3}).groupby(rows["group_id"]).max()
    return rank.map({0: "", 1: "train", 2: "val", 3: "test"})


def _refuse_straddling_patients(rows: pd.DataFrame, official: pd.Series) -> None:
    said = rows.assign(part=official)[(official != "") & rows["patient_id"].notna()]
    distinct = said.drop_duplicates(["patient_id", "part"])
    twice = distinct[distinct["patient_id"].duplicated(keep=False)]
    if len(twice):
        raise LeakageError(
            rule="A patient stands in two parts of an official split",
            splits=sorted(set(twice["part"])),
            count=int(twice["patient_id"].nunique()),
            sample_ids=twice["sample_id"].tolist(),
        )


def _require_classes(rows: pd.DataFrame, plan: SplitPlan, *, parts: int, why: str) -> None:
    """Refuse a side of which no finding (or not each finding that must) has enough patients of both classes."""
    must = [name for name in plan.stratify if name in finding_columns(rows) and rows[name].notna().any()]
    counts = {name: _both(rows, name) for name in must or finding_columns(rows)}
    enough = [name for name, both in counts.items() if min(both) >= parts]
    if len(enough) == len(counts) if must else enough:
        return
    domain, finding = str(rows["domain"].iloc[0]), max(counts, key=lambda name: (name not in enough, min(counts[name])))
    present, absent = counts[finding]
    one = "has one class only" if min(present, absent) == 0 else "is too small"
    raise DataError(
        what=f"The {domain} side {one} for {why}: {present} patients with {finding} present, {absent} with it absent",
        where=f"Releases {', '.join(sorted(set(rows['release'])))}; {parts} patients of each class are needed",
        remedy="Add patients of the scarce class, name findings with enough of both in manifest.stratify, "
        "or give the release to the external side, where it is only tested",
    )


def _both(rows: pd.DataFrame, finding: str) -> tuple[int, int]:
    known = classes(rows, finding)
    return int((known == 1).sum()), int((known == 0).sum())


def _one_class_notes(rows: pd.DataFrame) -> list[str]:
    notes = []
    for release, part in rows.groupby("release"):
        for finding in finding_columns(rows):
            present, absent = _both(part, finding)
            if (present == 0) != (absent == 0):
                notes.append(f"External release {release} has one class only for {finding}: no AUROC there")
    return notes


def _part_notes(rows: pd.DataFrame, cells: Sequence[pd.DataFrame]) -> list[str]:
    """Say where a part lacks a class of a finding that the side has."""
    notes = []
    domain = str(rows["domain"].iloc[0])
    for finding in finding_columns(rows):
        if domain == EXTERNAL or min(_both(rows, finding)) == 0:
            continue
        lacking = dict.fromkeys(("train", "val", "test"), 0)
        for table in cells:
            for part in sorted(set(table["split"]) - {UNUSED}):
                inside = rows.loc[table["split"] == part]
                lacking[part] += min(_both(inside, finding)) == 0
        notes += [f"The {domain} side lacks a class of {finding} in {n} of {len(cells)} {part} parts" for part, n in lacking.items() if n]
    return notes
