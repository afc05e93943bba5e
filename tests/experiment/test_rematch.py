# SPDX-License-Identifier: Apache-2.0
"""A stored tournament follows from the predictions of its runs; an edited number is found, and what cannot be held again is named."""

import shutil
import subprocess
import sys

import pandas as pd
import pytest

from contest.cohort import field
from fakes.run_folder import write_runs
from medsetu import cli
from medsetu.core.run import sha256_file
from medsetu.core.signed import read_signed, write_signed
from medsetu.core.table import write_table
from medsetu.experiment.record import CONTEST
from medsetu.experiment.rematch import check_contest
from medsetu.experiment.verdict import DIFFERS, NUMBERS, SAME, UNCHECKED

SKILL = {"transfer:lp_ft": 1.5, "transfer:lora": 1.0}
NUMBERED = {f"compare/{name}" for name in ("standings.csv", "metrics.csv", "pairs.csv", "compare.html", "compare.json", "standings.tex")}


def say(*words):
    with pytest.raises(SystemExit) as left:
        cli.main([*map(str, words)])
    return left.value.code


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    folder = write_runs(field(SKILL, seeds=2, val=10), tmp_path_factory.mktemp("held") / "runs")
    assert say("compare", folder) == 0
    return folder


@pytest.fixture
def copied(held, tmp_path):
    return shutil.copytree(held, tmp_path / "demo") / "compare"


def numbers(folder, status):
    return {check.item for check in check_contest(folder) if (check.area, check.status) == (NUMBERS, status)}


def sign_again(folder):
    facts, _ = read_signed(folder / CONTEST, name="", remedy="")
    facts["files"] = {name: sha256_file(folder / name) for name in facts["files"]}
    facts["runs"] = {place: sha256_file(folder.parent / place / "predictions.parquet") for place in facts["runs"]}
    write_signed(folder / CONTEST, facts)


def test_a_tournament_just_held_follows_also_where_the_tree_was_moved(copied):
    assert numbers(copied, SAME) >= NUMBERED
    assert all(check.status == SAME for check in check_contest(copied))


@pytest.mark.parametrize("name", ["metrics.csv", "compare.json", "compare.html"])
def test_an_edited_number_is_found_under_a_new_hash_too(copied, name):
    value = float(pd.read_csv(copied / "standings.csv")["auroc"].iloc[0])
    old, new = (f"{value:.3f}", f"{value + 0.001:.3f}") if name.endswith("html") else (repr(value), repr(value + 0.001))
    text = (copied / name).read_text()
    assert old in text
    (copied / name).write_text(text.replace(old, new))
    sign_again(copied)
    assert numbers(copied, DIFFERS) == {f"compare/{name}"}


def test_an_edited_prediction_is_found_although_the_record_was_signed_again(copied):
    path = next(copied.parent.glob("transfer.lora-s0-*")) / "predictions.parquet"
    table = pd.read_parquet(path)
    write_table(table.assign(score=1 - table["score"]), path)
    sign_again(copied)
    assert numbers(copied, DIFFERS) >= NUMBERED


def test_runs_that_are_gone_are_named_and_nothing_is_called_the_same(copied):
    shutil.rmtree(next(copied.parent.glob("transfer.lora-s0-*")))
    checks = [check for check in check_contest(copied) if check.area == NUMBERS]
    assert [(check.status, check.note) for check in checks] == [(UNCHECKED, "1 of the 4 runs behind it are not here")]


def test_a_damaged_record_is_named(copied):
    path = copied / CONTEST
    path.write_text(path.read_text().replace('"title": "demo"', '"title": "other"'))
    assert [(check.item, check.status) for check in check_contest(copied)] == [(CONTEST, DIFFERS)]


def test_tables_of_scores_are_named_as_what_cannot_be_held_again(tmp_path):
    for name in SKILL:
        rows = field({name: 1.0}, per_class=20)
        rows[["sample_id", "patient_id", "label", "score"]].to_csv(tmp_path / f"{name[9:]}.csv", index=False)
    assert say("compare", tmp_path / "lora.csv", tmp_path / "lp_ft.csv", f"output={tmp_path / 'out'}", "bootstrap=20") == 0
    (check,) = [check for check in check_contest(tmp_path / "out") if check.area == NUMBERS]
    assert (check.status, check.note.split(":")[0]) == (UNCHECKED, "2 tables of scores took part")


def test_no_torch_is_imported(held):
    code = (
        "import sys\nfrom pathlib import Path\nfrom medsetu.experiment.rematch import check_contest\n"
        f"checks = check_contest(Path({str(held / 'compare')!r}))\n"
        "sys.stdout.write(f'{len(checks)} {\"torch\" in sys.modules}')"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == "False"
