# SPDX-License-Identifier: Apache-2.0
"""A study that never ran: binormal scores with planted AUROC per arm and side, and films in which a shortcut can be planted."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy.stats import norm

from medsetu.core.table import MANIFEST_COLUMNS, PREDICTION_COLUMNS
from medsetu.evaluation.kernel import kernel_parts
from medsetu.evaluation.score import ScoreMatrix
from medsetu.shift.pairing import BY_PATIENT, ArmScores, Side

FINDING = "tuberculosis"
TITLES = {
    "global": ("Mixed sites", "tb_chest_radiography_database"),
    "local": ("NITRD New Delhi (DA)", "nitrd"),
    "external": ("Shenzhen", "nlm"),
}
CELLS = {  # a gap of 0.15, a local deficit of 0.05, a gain over local of 0.03, no forgetting
    ("global-only", "global"): 0.95,
    ("global-only", "local"): 0.80,
    ("local-only", "local"): 0.85,
    ("transfer", "local"): 0.88,
    ("transfer", "global"): 0.95,
}


def predictions(
    generator: np.random.Generator,
    *,
    aurocs: Mapping[tuple[str, str], float] | None = None,
    per_class: Mapping[str, int] | None = None,
    seeds: int = 1,
    folds: int = 0,
    seed_sd: float = 0.0,
    correlation: float = 0.6,
) -> pd.DataFrame:
    """Draw a study: films share a latent value between arms, every seed adds its own noise and its own skill."""
    sizes = {"global": 50, "local": 50, "external": 50, **(per_class or {})}
    cells = dict(CELLS if aurocs is None else aurocs)
    rows = []
    for side in sorted({name for _, name in cells}):
        n = sizes[side]
        label = np.repeat([1.0, 0.0], n)
        film = generator.normal(size=2 * n)
        fold = np.arange(2 * n) % folds if folds else np.full(2 * n, -1)
        for (arm, where), auroc in cells.items():
            if where != side:
                continue
            own = generator.normal(size=2 * n)
            for seed in range(seeds):
                skill = np.sqrt(2) * norm.ppf(auroc) + seed_sd * generator.normal()
                noise = np.sqrt(correlation) * film + np.sqrt(1 - correlation) * own
                crossed = folds and side == "local" and arm != "global-only"
                score = norm.cdf((label * skill + noise - skill / 2) / 2)
                rows.append(_rows(side, arm=arm, seed=seed, fold=fold if crossed else np.full(2 * n, -1), label=label, score=score))
    return pd.concat(rows, ignore_index=True)


def _rows(side: str, *, arm: str, seed: int, fold: np.ndarray, label: np.ndarray, score: np.ndarray) -> pd.DataFrame:
    site, release = TITLES[side]
    frame = pd.DataFrame(
        {
            "run": f"{arm}-{seed}",
            "arm": arm,
            "seed": seed,
            "fold": fold,
            "sample_id": [f"{release}/{number:04d}.png" for number in range(len(label))],
            "patient_id": [f"p-{side}-{number:04d}" for number in range(len(label))],
            "domain": side,
            "split": "test",
            "finding": FINDING,
            "label": label,
            "score": score,
            "site": site,
            "sex": "",
            "age_years": float("nan"),
            "view": "PA",
            "device": "",
            "release": release,
            "seen": "",
        }
    )
    return frame[list(PREDICTION_COLUMNS)]


def side(name: str, label: np.ndarray, arms: Mapping[str, np.ndarray], *, seed: np.ndarray | None = None) -> Side:
    """One side without a table, for simulations: (M, n) scores of each arm."""
    sample_id = np.array([f"{name}/{number:05d}" for number in range(len(label))])
    matrices = {}
    for arm, scores in arms.items():
        table = np.atleast_2d(scores)
        seeds = np.arange(len(table)) if seed is None else seed
        models = tuple(str(number) for number in seeds)
        matrices[arm] = ScoreMatrix(label, table, seeds, sample_id, sample_id, models, np.full(table.shape, -1))
    scored = {arm: ArmScores(matrix, kernel_parts(matrix.label, matrix.scores)) for arm, matrix in matrices.items()}
    return Side(name, name, sample_id, np.full(len(label), ""), scored, BY_PATIENT, ())


def binormal(
    generator: np.random.Generator, *, per_class: int, aurocs: Mapping[str, float], correlation: float = 0.6
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels and correlated scores of several arms on the same films."""
    label = np.repeat([1.0, 0.0], per_class)
    film = generator.normal(size=label.size)
    own = {arm: generator.normal(size=label.size) for arm in aurocs}
    noise = {arm: np.sqrt(correlation) * film + np.sqrt(1 - correlation) * own[arm] for arm in aurocs}
    return label, {arm: label * np.sqrt(2) * norm.ppf(auroc) + noise[arm] for arm, auroc in aurocs.items()}


def manifest(folder: Path, generator: np.random.Generator, *, per_class: int = 30, domain: str = "global") -> pd.DataFrame:
    """A manifest of small grey films without any shortcut, written to a folder: one side, one film per patient."""
    site, release = TITLES[domain]
    rows = []
    for number in range(2 * per_class):
        film = Image.fromarray(generator.integers(60, 196, size=(40, 36), dtype=np.uint8))
        name = f"{number:04d}.png"
        film.save(folder / name)
        rows.append({"sample_id": f"{release}/{name}", "path": name, "patient_id": f"p-{domain}-{number:04d}"})
    text = dict.fromkeys((name for name, kind in MANIFEST_COLUMNS.items() if kind == "str"), "")
    numbers = dict.fromkeys((name for name, kind in MANIFEST_COLUMNS.items() if kind != "str"), 8)
    facts = {"release": release, "site": site, "domain": domain, "root": str(folder), "color_mode": "L", "file_format": "png"}
    table = pd.DataFrame(rows).assign(
        **{name: value for name, value in {**text, **numbers, **facts, "age_years": np.nan}.items() if name not in rows[0]}
    )
    table["group_id"] = table["patient_id"]
    table["sha256"] = table["sample_id"]
    table[FINDING] = np.repeat([1.0, 0.0], per_class)
    return table


def fixed_splits(rows: pd.DataFrame) -> pd.DataFrame:
    """Every third film of each class is tested, the rest is trained on."""
    split = np.where(np.arange(len(rows)) % 3 == 0, "test", np.where(np.arange(len(rows)) % 3 == 1, "train", "val"))
    return rows[["sample_id", "domain"]].assign(repeat=-1, fold=-1, split=split)


def crossfit_splits(rows: pd.DataFrame, *, folds: int = 5, repeats: int = 2) -> pd.DataFrame:
    """Every film is tested once per repeat."""
    order = np.arange(len(rows))
    cells = []
    for repeat in range(repeats):
        for fold in range(folds):
            split = np.where((order + repeat * (order // folds)) % folds == fold, "test", "train")
            cells.append(rows[["sample_id", "domain"]].assign(repeat=repeat, fold=fold, split=split))
    return pd.concat(cells, ignore_index=True)


def scored(rows: pd.DataFrame, score: np.ndarray, *, arm: str = "global-only", seed: int = 0) -> pd.DataFrame:
    """Test predictions of one run on the rows of a manifest."""
    facts = ["sample_id", "patient_id", "domain", "site", "sex", "age_years", "view", "device", "release", "seen"]
    return rows[facts].assign(
        run=f"{arm}-{seed}", arm=arm, seed=seed, fold=-1, split="test", finding=FINDING, label=rows[FINDING], score=score
    )
