# SPDX-License-Identifier: Apache-2.0
"""The ledger counts looks at new scores: never twice, never lost, never begun anew."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from fakes import study
from fakes.film import SENTINEL
from medsetu.core.errors import DataError, ResourceError
from medsetu.manifest.ledger import count_openings, ledger_path, read_openings, record_opening, score_keys

FINGERPRINT = "ab" * 32


@pytest.fixture
def scores():
    return study.predictions(np.random.default_rng(0), seeds=2, per_class={"global": 6, "local": 6})


@pytest.fixture
def path(tmp_path):
    return ledger_path(tmp_path, FINGERPRINT)


def record(path, table, **words):
    return record_opening(path, table, **{"verb": "study", "recipe": "demo", **words})


def test_a_test_never_opened_has_no_ledger(path):
    assert read_openings(path) == []
    assert count_openings([]) == 0


def test_the_same_scores_are_one_opening_in_any_order(path, scores):
    record(path, scores)
    shuffled = scores.sample(frac=1, random_state=0)
    assert len(record(path, shuffled, verb="evaluate", recipe="other")) == 1
    assert len(record(path, scores.assign(score=scores["score"] + 1e-9))) == 1


def test_some_of_the_same_scores_are_no_new_opening(path, scores):
    record(path, scores)
    assert len(record(path, scores[scores["arm"] == "transfer"], verb="train")) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.assign(score=table["score"] ** 2),
        lambda table: table.assign(seed=table["seed"] + 5),
        lambda table: table.assign(fold=3),
        lambda table: table.assign(arm="other"),
        lambda table: table.assign(finding="effusion"),
        lambda table: table[table["sample_id"] != table["sample_id"].iloc[0]],
    ],
)
def test_other_scores_are_another_opening(path, scores, change):
    record(path, scores)
    assert len(record(path, change(scores))) == 2


def test_an_opening_says_when_by_whom_and_under_which_seal(path, scores):
    (opening,) = record(path, scores, verb="shift", seal="cd" * 32)
    assert (opening.verb, opening.recipe, opening.seal, opening.sides) == ("shift", "demo", "cd" * 32, ("global", "local"))
    assert len(opening.date) == len("2026-11-22")
    assert read_openings(path) == [opening]


def test_an_external_test_does_not_open_the_internal_one(path, scores):
    record(path, scores)
    added = pd.concat([scores, scores[scores["domain"] == "local"].assign(domain="external")])
    openings = record(path, added, verb="evaluate")
    assert (count_openings(openings), count_openings(openings, sides=["external"]), len(openings)) == (1, 1, 2)


def test_validation_scores_open_nothing(path, scores):
    assert record(path, scores.assign(split="val")) == []
    assert not path.exists()


def test_a_score_that_is_nan_is_a_score(path, scores):
    empty = scores.assign(score=np.nan)
    assert len(record(path, empty)) == len(record(path, empty)) == 1


def test_entries_are_only_added(path, scores):
    first = record(path, scores)[0]
    second = record(path, scores.assign(score=0.5))
    assert second[0] == first
    assert [opening["recipe"] for opening in json.loads(path.read_text())["openings"]] == ["demo", "demo"]


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-40], lambda data: data.replace(b'"study"', b'"train"')])
def test_a_damaged_ledger_is_refused_and_not_begun_anew(path, scores, damage):
    record(path, scores)
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    for act in (lambda: read_openings(path), lambda: record(path, scores)):
        with pytest.raises(DataError, match="never begun anew"):
            act()
    assert path.read_bytes() == before


def test_the_ledger_of_another_manifest_is_refused(path, scores, tmp_path):
    record(path, scores)
    other = ledger_path(tmp_path, "cd" * 32)
    path.rename(other)
    with pytest.raises(DataError, match="another manifest"):
        read_openings(other)


def test_a_folder_that_cannot_be_written_is_said(tmp_path, scores):
    (tmp_path / "ledger").write_text("a file")
    with pytest.raises(ResourceError, match="cannot be written"):
        record(ledger_path(tmp_path, FINGERPRINT), scores)


def test_no_name_stands_in_the_ledger(path, scores):
    """T44: keys are hashes, and there is nothing else."""
    record(path, scores.assign(sample_id=f"nitrd/{SENTINEL}-" + scores["sample_id"], patient_id=SENTINEL))
    assert SENTINEL not in path.read_text()
    assert all(len(key) == 16 for key in score_keys(scores))


WRITER = """
import sys
from pathlib import Path
import pandas as pd
from medsetu.manifest.ledger import record_opening
table = pd.read_csv(sys.argv[2])
for number in range(5):
    record_opening(Path(sys.argv[1]), table.assign(seed=100 * int(sys.argv[3]) + number), verb="train", recipe=sys.argv[3])
"""


def test_two_processes_write_side_by_side(path, scores, tmp_path):
    scores[scores["seed"] == 0].to_csv(tmp_path / "scores.csv", index=False)
    command = [sys.executable, "-c", WRITER, str(path), str(tmp_path / "scores.csv")]
    both = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in ("1", "2")]
    assert [(process.communicate()[1], process.returncode) for process in both] == [(b"", 0)] * 2
    openings = read_openings(path)
    assert sorted(opening.recipe for opening in openings) == ["1"] * 5 + ["2"] * 5
    assert len({key for opening in openings for key in opening.scores}) == sum(len(opening.scores) for opening in openings)
