# SPDX-License-Identifier: Apache-2.0
"""The design of a study: which cells it has (arm, seed, fold), and on which side each sample stands for one of them. No torch here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medsetu.core.arm import VARIANT
from medsetu.core.errors import ConfigError
from medsetu.core.run import content_key
from medsetu.core.sample import LOCAL
from medsetu.manifest.prepared import Prepared
from medsetu.manifest.split import cell as split_cell
from medsetu.manifest.thin import thin, thin_to
from medsetu.recipe.recipe import Recipe

CURVE = "curve"  # folder below the recipe's for runs with fewer local patients: ordinary comparisons do not look there
THINNED = "@"  # between an arm and the share, or the number per class, of the local patients it was trained with
_APART = 100_003  # between the training seeds of two draws: a prime above any seed that a person would choose


@dataclass(frozen=True)
class Cell:
    """One arm, seed and fold.

    Attributes:
        arm: global-only, local-only or transfer, or a variant of one of them such as ``transfer:lora``.
        seed: Seed of the run; the repeat of a cross-fitted side is ``seed`` modulo the number of repeats.
        fold: Fold of the cross-fitted local side; -1 when the arm does not learn from a cross-fitted side.
        local_share: Share of the local training and validation patients that are kept, in (0, 1), for learning curves; None: all.
        local_patients: Few-shot: local patients per class whose labels are spent, training and validation together; None: all.
        draw: Which draw of these patients; each draw trains with a seed of its own.
    """

    arm: str
    seed: int
    fold: int = -1
    local_share: float | None = None
    local_patients: int | None = None
    draw: int = 0

    @property
    def is_thinned(self) -> bool:
        """Whether it learns from fewer local patients than there are: a point of a learning curve."""
        return self.local_share is not None or self.local_patients is not None

    @property
    def label(self) -> str:
        """Name of the arm in tables: that of a thinned arm carries its share, so that no comparison takes it for the arm itself."""
        return thinned_arm(self.arm, self.local_share, shots=self.local_patients)

    @property
    def name(self) -> str:
        """Name of the run, for folders and tables; a colon is no part of a folder's name everywhere."""
        draw = "" if self.local_patients is None else f"-d{self.draw}"
        return f"{self.label.replace(VARIANT, '.')}{draw}-s{self.seed}" + (f"-f{self.fold}" if self.fold >= 0 else "")

    @property
    def training_seed(self) -> int:
        """Seed of the stages that learn from the local side: another draw of patients is another training too."""
        return self.seed + _APART * self.draw

    @property
    def identity(self) -> dict[str, Any]:
        """What names the cell in a provenance, a recipe or a job, as plain data; ``cell_of`` reads it back."""
        fewer = {} if self.local_share is None else {"local_share": self.local_share}
        fewer |= {} if self.local_patients is None else {"local_patients": self.local_patients, "draw": self.draw}
        return {"arm": self.arm, "seed": self.seed, "fold": self.fold, **fewer}


def thinned_arm(arm: str, local_share: float | None, *, shots: int | None = None) -> str:
    """Name an arm that was trained with a share, or a number per class, of the local patients.

    Example:
        >>> thinned_arm("transfer", 0.25), thinned_arm("transfer", None, shots=8), thinned_arm("transfer", None)
        ('transfer@0.25', 'transfer@8-shot', 'transfer')
    """
    if shots is not None:
        return f"{arm}{THINNED}{shots}-shot"
    return arm if local_share is None else f"{arm}{THINNED}{local_share:g}"


def cells_of(recipe: Recipe, prepared: Prepared, *, arms: Sequence[str], seeds: Sequence[int], fold: int | None = None) -> list[Cell]:
    """List the cells of arms and seeds, the global-only ones first because transfer starts from them.

    Args:
        recipe: The recipe.
        prepared: Manifest and splits.
        arms: Arms to run.
        seeds: Seeds to run.
        fold: One fold of a cross-fitted side; all when None.

    Returns:
        The cells in the order in which they should run.

    Raises:
        ConfigError: There is no such fold.
    """
    folds = sorted(set(prepared.splits.loc[prepared.splits["domain"] == LOCAL, "fold"]) - {-1})
    result = []
    for arm in sorted(arms, key=recipe.uses_local):
        own = folds if recipe.uses_local(arm) else []
        if fold is not None and fold not in own:
            raise ConfigError(
                what=f"Arm '{arm}' has no fold {fold}",
                where="Key fold",
                remedy=f"It has {f'folds 0 to {own[-1]}' if own else 'no folds: use fold=null'}",
            )
        chosen = own if fold is None else [fold]
        chosen = chosen or [-1]
        result += [Cell(arm, seed, index) for seed in seeds for index in chosen]
    return result


def assignment_of(prepared: Prepared, cell: Cell) -> "pd.Series[str]":
    """Say on which side of the split each sample stands for this cell.

    A cross-fitted side that the arm does not learn from is test altogether. All draws of a few-shot cell stand on the same test folds,
    those of the first repeat.

    Returns:
        Series sample_id -> split.
    """
    repeats = int(prepared.splits["repeat"].max()) + 1
    repeat = 0 if cell.local_patients is not None else cell.seed % max(1, repeats)
    assignment = split_cell(prepared.splits, repeat=repeat if repeats > 0 else -1, fold=cell.fold)
    untouched = prepared.manifest.loc[prepared.manifest["split"] == "crossfit", "sample_id"]
    missing = untouched[~untouched.isin(assignment.index)]
    result: pd.Series[str] = pd.concat([assignment, pd.Series("test", index=pd.Index(missing), dtype=assignment.dtype)])
    return result


def thinned_assignment(recipe: Recipe, prepared: Prepared, cell: Cell) -> "pd.Series[str]":
    """Leave out the local patients that a thinned cell may not learn from: all arms of one seed (or draw) and fold keep the same ones.

    Raises:
        ConfigError: There are fewer local patients per class than the cell names.
    """
    assignment, finding = assignment_of(prepared, cell), recipe.evaluation.primary
    if cell.local_patients is not None:
        seed = f"{recipe.split_seed}/draw {cell.draw}/{cell.fold}"
        return thin_to(prepared.manifest, assignment, domain=LOCAL, patients=cell.local_patients, finding=finding, seed=seed)
    if cell.local_share is None:
        return assignment
    seed = f"{recipe.split_seed}/{cell.seed}/{cell.fold}"
    return thin(prepared.manifest, assignment, domain=LOCAL, share=cell.local_share, finding=finding, seed=seed)


def cell_of(facts: Mapping[str, Any]) -> Cell:
    """Read which cell a run was, from its provenance or its recipe.

    Args:
        facts: ``arm``, ``seed``, ``fold`` (None: no fold) and, for a point of a learning curve, ``local_share`` or ``local_patients``
            and ``draw``.

    Returns:
        The cell.

    Example:
        >>> cell_of({"arm": "transfer", "seed": 1, "fold": 0}).name
        'transfer-s1-f0'
    """
    share, shots, fold = facts.get("local_share"), facts.get("local_patients"), facts["fold"]
    return Cell(
        str(facts["arm"]),
        int(facts["seed"]),
        -1 if fold is None else int(fold),
        None if share is None else float(share),
        None if shots is None else int(shots),
        int(facts.get("draw") or 0),
    )


def split_hash(assignment: "pd.Series[str]") -> str:
    """Hash on which side of the split each sample stands.

    Args:
        assignment: Series sample_id -> split.

    Returns:
        64 hexadecimal digits; the order of the samples does not matter.
    """
    return content_key(sorted(zip(assignment.index, assignment, strict=True)), length=64)
