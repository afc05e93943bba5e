# SPDX-License-Identifier: Apache-2.0
"""``medsetu compare`` from the command line: studies, tables, the oracle of DeLong 1988, without torch."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from contest.cohort import delong88, field
from fakes.run_folder import write_runs
from fakes.score_table import SENTINEL
from medsetu import cli

FILES = {
    "compare.html",
    "compare.json",
    "contest.json",
    "log.txt",
    "metrics.csv",
    "pairs.csv",
    "standings.csv",
    "forest.svg",
    "differences.svg",
}
FILES |= {"costs.tex", "metrics.tex", "pairs_auroc.tex", "standings.tex"}


@pytest.fixture
def compare(capfd, monkeypatch, tmp_path):
    """Say ``medsetu compare`` in this process: (exit code, what stood in the terminal)."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(["compare", *map(str, words)])
        text = "".join(capfd.readouterr())
        assert "Traceback" not in text
        return left.value.code, text

    return run


def test_the_paired_delong_of_1988_through_the_verb_to_the_printed_digits(compare, tmp_path):
    """Published in DeLong 1988 as printed by SAS PROC LOGISTIC: a CSV becomes a folder of runs, and the folder a table of pairs."""
    delong88().to_csv(tmp_path / "markers.csv", index=False)
    folder = write_runs(pd.read_csv(tmp_path / "markers.csv"), tmp_path / "runs")
    code, _ = compare(folder, "reference=kg")
    assert code == 0
    pairs = pd.read_csv(folder / "compare" / "pairs.csv")
    pairs = pairs[(pairs["metric"] == "auroc") & (pairs["second"] == "kg")].set_index("first")
    found = pairs.loc["alb"]
    assert [round(found[name], 6) for name in ("value", "test_low", "test_high", "test_value", "test_p")] == [
        *(0.010753, -0.176117, 0.197623),
        *(0.012719, 0.910206),
    ]
    assert [round(pairs.loc["tp", name], 6) for name in ("value", "test_value", "test_p")] == [-0.077957, 0.555350, 0.456140]
    joint = json.loads((folder / "compare" / "compare.json").read_text())["joint_delong"]
    assert [round(joint[name], 6) for name in ("chi2", "degrees", "p")] == [2.533978, 2, 0.281678]


def test_a_study_with_variants_ends_with_a_verdict_and_every_file(compare, tmp_path):
    skill = {"global-only": 1.5, "transfer:lp_ft": 1.5, "transfer:lora": 1.5}
    folder = write_runs(field(skill, seeds=2, val=10), tmp_path / "runs", parameters_trained=1234)
    code, text = compare(folder)
    assert code == 0
    assert {path.name for path in (folder / "compare").iterdir()} == FILES
    assert max(map(len, text.splitlines())) <= max(100, len(f"Comparison: {folder / 'compare' / 'compare.html'}"))
    said = " ".join(text.split())
    assert "No winner can be named" in said
    assert "independent films per class" in said
    assert "1\u202f234" in text
    assert SENTINEL not in text


def test_two_tables_of_scores_are_enough_and_options_are_words(compare, tmp_path):
    table = field({"a": 3.0, "b": 0.5}, per_class=60)
    for name in "ab":
        own = table[table["arm"] == name].rename(columns={"score": "probability"})
        own[["sample_id", "patient_id", "label", "probability"]].to_csv(tmp_path / f"model {name}.csv", index=False)
    code, text = compare("model a.csv", "model b.csv", "columns.score=probability", "margin=0.1", "output=out", "bootstrap=20")
    assert code == 0
    assert "The winner is model a" in " ".join(text.split())
    told = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert (told["plan"]["margin"], told["plan"]["bootstrap"]) == (0.1, 20)


def test_different_films_are_refused_and_shared_ones_compared_on_request(compare, tmp_path):
    table = field({"transfer:a": 1.0, "transfer:b": 1.0})
    folder = write_runs(table[~((table["arm"] == "transfer:a") & (table["sample_id"] == "test0000"))], tmp_path / "runs")
    code, text = compare(folder)
    assert code == 3
    assert "transfer:a and transfer:b were tested on different films: 0 only by transfer:a, 1 only by transfer:b" in text
    assert "test0000" not in text
    code, text = compare(folder, "on=shared")
    assert code == 0
    assert "1 films left out" in " ".join(text.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Nothing was named to compare"),
        (("nowhere",), "No finished run was found"),
        (("nowhere.csv",), "A table is missing"),
        (("runs/demo", "target=best"), "is no rule of a threshold"),
        (("runs/demo", "target=sensitivity_high"), "is no number"),
        (("runs/demo", "reference=transfer"), "does not take part"),
        (("runs/demo", "threshold=transported"), "has no transported threshold"),
        (("runs/demo", "on=some"), "'some' is unknown"),
        (("runs/demo", "referense=x"), "Did you mean 'reference'"),
    ],
)
def test_bad_words_are_named(compare, tmp_path, words, message):
    write_runs(field({"transfer:a": 1.0, "transfer:b": 1.0}, val=5), tmp_path / "runs")
    code, text = compare(*words)
    assert code in (2, 3)
    assert message in text


def test_names_in_ids_are_in_nothing_that_is_written(compare, tmp_path):
    table = field({"transfer:a": 1.0, "transfer:b": 1.0}, val=10)
    named = table.assign(sample_id=SENTINEL + table["sample_id"], patient_id=SENTINEL + table["patient_id"])
    folder = write_runs(named, tmp_path / "runs")
    code, text = compare(folder)
    assert code == 0
    written = [path for path in (folder / "compare").iterdir() if SENTINEL.encode() in path.read_bytes()]
    assert written == []
    assert SENTINEL not in text


def test_it_works_without_torch(tmp_path):
    write_runs(field({"transfer:a": 1.0, "transfer:b": 1.0}, val=5), tmp_path / "runs")
    code = (
        "import json, sys\nfrom medsetu import cli\n"
        "try:\n    cli.main(['compare', 'runs/demo'])\nexcept SystemExit as left:\n    assert left.code == 0, left.code\n"
        "sys.stdout.write('\\n' + json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "medsetu.contest.tournament" in loaded
    assert not loaded & {"torch", "pytorch_lightning", "monai", "timm", "torchvision", "wandb"}


def test_a_finished_study_is_compared(compare, copied):
    code, text = compare(copied.runs / "demo", "bootstrap=20")
    assert code == 0
    assert all(arm in text for arm in ("global-only", "local-only", "transfer"))
    assert "thresholds are of different kinds" in " ".join(text.split())
