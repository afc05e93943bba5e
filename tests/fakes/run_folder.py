# SPDX-License-Identifier: Apache-2.0
"""Finished runs as `medsetu study` leaves them, made from a table of predictions: what they cost is invented, nothing was trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from medsetu.core.run import RunFolder, sha256_file, write_json
from medsetu.core.table import PREDICTION_COLUMNS, conform, write_table

EVALUATION = {"_target_": "medsetu.evaluation.plan.EvaluationPlan", "primary": "tuberculosis", "margin": 0.05, "bootstrap": 40}


def write_runs(
    predictions: pd.DataFrame,
    root: Path,
    *,
    recipe: str = "demo",
    manifest: str = "f" * 64,
    lr: float = 0.001,
    evaluation: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Path:
    """Write one run per arm, seed and fold of a table; a fold of a run is one network.

    Args:
        predictions: Long table with ``PREDICTION_COLUMNS``.
        root: Folder of all recipes, ``paths.runs``.
        recipe: Name of the recipe.
        manifest: Fingerprint that the runs name.
        lr: Learning rate, so that settings can differ.
        evaluation: Keys of the evaluation plan that differ.
        **facts: Further facts of every stage.

    Returns:
        Folder of the runs of the recipe.
    """
    for (arm, seed, fold), rows in predictions.groupby(["arm", "seed", "fold"]):
        name = f"{str(arm).replace(':', '.')}-s{seed}" + (f"-f{fold}" if fold >= 0 else "")
        run = RunFolder(root / recipe / f"{name}-{abs(hash((recipe, lr))) % 10**8:08d}")
        run.path.mkdir(parents=True, exist_ok=True)
        table = conform(rows.assign(run=run.path.name), PREDICTION_COLUMNS, name="predictions")
        write_table(table, run.predictions)
        raw = {
            **{"name": recipe, "arm": arm, "seed": int(seed), "fold": int(fold), "stages": {"finetune": {"lr": lr}}},
            **{
                "data": {"fit": "stretch", "cache": "a"},
                "backbone": {"name": "resnet"},
                "evaluation": {**EVALUATION, **(evaluation or {})},
            },
            "paths": {"work": str(root / "work"), "runs": str(root), "data": ""},
        }
        run.recipe.write_text(yaml.safe_dump(raw))
        stage = {
            "name": "finetune",
            "key": "0",
            "seconds": 360.0,
            "hardware": {"accelerator": "cpu"},
            "labels_spent": {"local": 70},
            **facts,
        }
        write_json(
            run.provenance, {"recipe": recipe, "arm": arm, "seed": int(seed), "fold": int(fold), "manifest": manifest, "stages": [stage]}
        )
        write_json(run.done, {"predictions": sha256_file(run.predictions)})
    return root / recipe
