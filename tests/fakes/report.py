# SPDX-License-Identifier: Apache-2.0
"""A report of a study that never ran: drawn scores, drawn films, hostile names."""

import datetime as dt

import numpy as np
import pandas as pd

from fakes import study
from medsetu.catalog.card import load_card
from medsetu.evaluation.evaluate import evaluate_predictions
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.report.content import Report
from medsetu.report.film import choose_films
from medsetu.shift.matrix import transfer_matrices
from medsetu.shift.shortcut import LADDER_COLUMNS, inflated_sides
from medsetu.shift.summary import summarise

SENTINEL = "ZZ^SENTINEL"
SITE = "<script>alert('site')</script>"
PLAN = EvaluationPlan(primary=study.FINDING, bootstrap=60, groups=("sex", "age_years", "view"))
RUNGS = {
    "file facts": (0.956, 0.944),
    "border ring": (0.944, 0.759),
    "8 x 8 thumbnail": (0.953, 0.813),
    "metadata": (float("nan"), float("nan")),
    "lungs removed": (0.962, 0.78),
}


def predictions(*, seeds: int = 3, folds: int = 5, per_class: int = 40, site: str = SITE) -> pd.DataFrame:
    """Test and validation scores of three arms; two patients carry the sentinel in names that must never be printed."""
    generator = np.random.default_rng(7)
    tested = study.predictions(generator, seeds=seeds, folds=folds, seed_sd=0.05, per_class={"global": 2 * per_class, "local": per_class})
    crossed = tested["fold"] >= 0
    local = tested[crossed]
    shifted = local.assign(split="val", fold=(local["fold"] + 1) % folds)
    everywhere = tested[(tested["domain"] == "global")].assign(split="val", sample_id="val/" + tested["sample_id"])
    table = pd.concat([tested, shifted, everywhere], ignore_index=True)
    number = table["sample_id"].str.extract(r"(\d+)\.png")[0].astype(int)
    table["sex"] = np.where(number % 2 == 0, "F", "M")
    table["age_years"] = 20.0 + (number * 7) % 60
    table["view"] = np.where(number % 23 == 0, "AP", "PA")
    table["sample_id"] = table["sample_id"].str.replace("0007.png", f"{SENTINEL}.png")
    table.loc[table["domain"] == "global", "patient_id"] = np.nan
    table.loc[table["sample_id"].str.contains("0009") & (table["domain"] == "local"), "patient_id"] = SENTINEL
    table["site"] = table["site"].where(table["domain"] != "local", site)
    return table


def ladder(*, arms: dict[str, list[str]], site: str = SITE) -> pd.DataFrame:
    """A ladder whose global side is inflated, and whose metadata nobody recorded."""
    rows = []
    for place, (side, title) in enumerate((("global", "tb_chest_radiography_database"), ("local", site))):
        for arm in arms[side]:
            for rung, values in RUNGS.items():
                value = values[place]
                known = value == value
                row = {"side": side, "title": title, "unit": "by image (no patient ids)", "arm": arm, "rung": rung, "value": value}
                row |= {"low": value - 0.05, "high": min(1.0, value + 0.04), "n_patients": 80, "n_samples": 80, "n_positive": 40}
                row |= {
                    "skill_above": 0.93 - value,
                    "skill_low": 0.88 - value,
                    "skill_high": 0.98 - value,
                    "best": value == np.nanmax([v[place] for v in RUNGS.values()]),
                }
                rows.append(row | {"method": "logit-delong-t" if known else "", "note": "" if known else "not measured: no facts recorded"})
    return pd.DataFrame(rows)[list(LADDER_COLUMNS)]


def film(seed: int, *, size: int = 96) -> np.ndarray:
    """Something grey with two dark lungs."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    lungs = sum(np.exp(-((((x - side) / 0.28) ** 2 + (y / 0.6) ** 2) ** 2)) for side in (-0.42, 0.42))
    noise = np.random.default_rng(seed).normal(0, 0.02, (size, size))
    return np.clip(0.72 - 0.5 * lungs + noise, 0, 1).astype(np.float32)


def histories(*, seeds: int = 3) -> dict[str, pd.DataFrame]:
    """Two stages of each seed, the second of unequal length."""
    generator = np.random.default_rng(3)
    found = {}
    for seed in range(seeds):
        for stage, epochs in (("pretrain", 10), ("finetune", 6 + seed)):
            epoch = np.arange(epochs)
            falling = 0.3 + 0.4 * np.exp(-epoch / 3) + generator.normal(0, 0.01, epochs)
            table = {"epoch": epoch, "train/loss": falling, "val/global/loss": falling + 0.05, "val/local/loss": falling + 0.15}
            found[f"transfer-s{seed}/{stage}"] = pd.DataFrame(
                table | {"val/local/tuberculosis/auroc": 0.9 - 0.5 * (falling - 0.3), "val/local/effusion/auroc": 0.7}
            )
    return found


def flow() -> pd.DataFrame:
    """Participant flow of two releases."""
    rows = [
        ("global", "tb_chest_radiography_database", "eligible", "", 4200),
        ("global", "tb_chest_radiography_database", "excluded", "near duplicate of another image", 12),
        ("global", "tb_chest_radiography_database", "quarantined", "the file ends early", 3),
        ("global", "tb_chest_radiography_database", "analysed", "", 4185),
        ("local", "nitrd", "eligible", "", 104),
        ("local", "nitrd", "analysed", "", 104),
    ]
    return pd.DataFrame(rows, columns=["domain", "release", "step", "reason", "samples"])


def splits() -> pd.DataFrame:
    """Counts of each part."""
    rows = [
        ("global", "tb_chest_radiography_database", "train", 2720, 2720, "image", study.FINDING, 455, 2265, 0),
        ("global", "tb_chest_radiography_database", "test", 840, 840, "image", study.FINDING, 140, 700, 0),
        ("local", "nitrd", "crossfit", 104, 104, "image", study.FINDING, 52, 52, 0),
    ]
    columns = ["domain", "release", "split", "samples", "groups", "unit", "finding", "present", "absent", "unknown"]
    return pd.DataFrame(rows, columns=columns)


def report(*, site: str = SITE, title: str = "tb_global_to_india") -> Report:
    """The whole report."""
    table = predictions(site=site)
    rungs = ladder(arms={"global": ["global-only", "transfer"], "local": ["global-only", "local-only", "transfer"]}, site=site)
    matrices = transfer_matrices(
        table,
        finding=study.FINDING,
        plan=PLAN,
        labels_used={"local-only": 83, "transfer": 83, "global-only": 0},
        inflated=inflated_sides(rungs),
    )
    choices, protocol = choose_films(table, finding=study.FINDING, arm="transfer", most=3)
    duplicates = [
        ("tb/1.png", f"tb/{SENTINEL}.png", "exact", 0, "the later one left"),
        ("tb/3.png", "nih/4.png", "near", 2, "kept on one side"),
    ]
    return Report(
        title=title,
        question="Does a network taught on world-wide films still find tuberculosis in New Delhi, and what do 70 local films buy?",
        recipe_yaml="name: tb_global_to_india\nseed: 0\nlogger: <none> & 'quoted'\n",
        made_on=dt.date(2026, 11, 24).isoformat(),
        cards=[load_card("nitrd"), load_card("tb_chest_radiography_database")],
        weights=[
            {
                "stage": "pretrain",
                "origin": "timm/resnet18.a1_in1k",
                "licence": "Apache-2.0",
                "sha256": "ab" * 32,
                "trained_on": ("imagenet1k",),
            }
        ],
        matrices=matrices,
        results=evaluate_predictions(table, PLAN),
        predictions=table,
        ladders=[rungs],
        sentences=summarise(matrices[0], ladders=rungs),
        histories=histories(),
        examples=[choice.example(film(place)) for place, choice in enumerate(choices)],
        protocol=protocol,
        flow=flow(),
        split_table=splits(),
        quarantine=pd.DataFrame(
            {"sample_id": [f"tb/{SENTINEL}.png"] * 3, "release": "tb_chest_radiography_database", "reason": "the file ends early"}
        ),
        duplicates=pd.DataFrame(duplicates, columns=["a", "b", "kind", "distance", "action"]),
        notes=["The release tb_chest_radiography_database has no patient ids: its splits are by image."],
        openings=1,
        labels_used={"global-only": 0, "local-only": 83, "transfer": 83},
        compute={"seconds": 2143.0, "cores": 2, "accelerator": "cpu"},
        margin=PLAN.margin,
    )
