# SPDX-License-Identifier: Apache-2.0
"""``medsetu shift`` from the command line to the passport: a table of scores, a study, every bad input by its name."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fakes.score_table import SENTINEL, score_table
from medsetu import cli
from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder
from medsetu.core.table import read_table
from medsetu.experiment.shift import main
from medsetu.shift.row import SECTIONS

TINY = ("shift.bootstrap=20", "shift.permutations=19", "repair_table.bootstrap=20")
ARTEFACTS = {"log.txt", "passport.html", "passport.json", "repairs.csv", "shift.csv", "shift.parquet", "shift.parquet.sha256"}
LOCAL = "local"


class Answer:
    """What the verb left behind."""

    def __init__(self, code: int, text: str, folder: Path):
        self.code, self.text, self.folder = code, text, folder

    @property
    def table(self) -> pd.DataFrame:
        return read_table(self.folder / "shift.parquet").set_index(["measure", "subject"])

    @property
    def gap(self) -> pd.DataFrame:
        return self.table[self.table["section"] == "gap"]

    @property
    def passport(self) -> dict:
        return json.loads((self.folder / "passport.json").read_text())

    def bytes(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def shift(capfd, monkeypatch, tmp_path):
    """Say ``medsetu shift`` on a table, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(table: pd.DataFrame | None, *words: str) -> Answer:
        if table is not None:
            table.to_csv(tmp_path / "scores.csv", index=False)
            words = ("scores.csv", *words)
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(["shift", *words, *TINY])
        text = "".join(capfd.readouterr())
        assert "Traceback" not in text
        assert SENTINEL not in text
        return Answer(left.value.code, text, tmp_path / "scores_shift")

    return run


def local(table: pd.DataFrame, **changes: object) -> pd.DataFrame:
    here = table["domain"] == LOCAL
    return table.assign(**{name: table[name].mask(here, value) for name, value in changes.items()})


def test_a_table_of_scores_gets_a_passport_and_no_name_of_a_patient_or_film(shift):
    """T44: the planted name stands in every id of the table, and in nothing that is written or said."""
    given = score_table(per_patient=2)
    answer = shift(given)
    assert answer.code == 0
    assert set(answer.bytes()) == ARTEFACTS
    assert [name for name, content in answer.bytes().items() if SENTINEL.encode() in content] == []
    assert set(answer.table["section"]) == set(SECTIONS)
    told = answer.passport
    assert len(told["sentences"]) == 5
    assert all(sentence in " ".join(answer.text.split()) for sentence in (" ".join(one.split()) for one in told["sentences"]))
    assert [side["patients"] for side in told["sides"]] == [40, 40]
    assert [side["films"] for side in told["sides"]] == [80, 80]
    table, gap = answer.table, answer.gap
    assert gap.loc[("gap: auroc", "all films"), "value"] == pytest.approx(
        gap.loc[("auroc", "global"), "value"] - gap.loc[("auroc", LOCAL), "value"]
    )
    assert (table.loc[table["value"].isna(), "verdict"] != "").all()  # no number without a reason
    for stage in ("Gap", "What differs", "Causes", "Shortcuts", "Repairs", "Passport"):
        assert stage in answer.text


def test_the_same_table_gives_the_same_numbers(shift):
    first, second = (shift(score_table()).table for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_a_side_of_one_class_gets_a_sensitivity_and_no_auroc(shift):
    answer = shift(local(score_table(), label=1.0))
    assert answer.code == 0
    row = answer.table.loc[("sensitivity at transported sensitivity_0.90", LOCAL)]
    assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
    auroc = answer.gap.loc[("auroc", LOCAL)]
    assert np.isnan(auroc["value"])
    assert auroc["verdict"] == "refused: one class only: no negatives"
    assert "On the local side, sensitivity at transported sensitivity 0.90: " in answer.passport["sentences"][0]


def test_a_side_without_labels_is_compared_and_its_films_are_proposed(shift):
    answer = shift(local(score_table(separation=3.0, prevalence=0.2), label=np.nan))
    assert answer.code == 0
    proposed = read_table(answer.folder / "label_next.csv")
    assert list(proposed.columns) == ["sample_id", "rank", "reason"]
    assert len(proposed) == 40
    assert proposed["sample_id"].str.contains("local-test").all()
    table = answer.table
    for method in ("BBSE", "EM", "RLLS"):
        assert np.isfinite(table.loc[(f"prevalence ({method})", "finding"), "value"])
    assert np.isfinite(table.loc[("BBSD (KS)", "score"), "p"])
    assert "refused: 0 labelled patients on the local side" in table.loc[("gap: auroc", "all films"), "verdict"]
    assert any("40 local films have no label" in note for note in answer.passport["notes"])
    written = {name for name, content in answer.bytes().items() if SENTINEL.encode() in content}
    assert written == {"label_next.csv"}  # the films asked for are named there, and nowhere else


def test_five_films_are_refused_with_the_number_it_takes(shift):
    given = score_table()
    here = given["domain"] == LOCAL
    answer = shift(pd.concat([given[~here], given[here & (given["split"] == "test")].sample(5, random_state=0)]))
    assert answer.code == 0
    row = answer.table.loc[("gap: auroc", "all films")]
    assert row["verdict"].startswith("refused: 5 labelled patients on the local side, 10 are the least")
    assert "10 patients of each class per side" in row["note"]
    assert "5 patients on the local side, 10 are needed" in answer.passport["sentences"][1]


@pytest.mark.parametrize("score", [lambda table: table["label"], lambda table: 0.1 + 0.8 * table["label"]], ids=["0 and 1", "inside"])
def test_a_perfectly_separable_model_works(shift, score):
    answer = shift(score_table().assign(score=score))
    assert answer.code == 0
    row = answer.gap.loc[("auroc", LOCAL)]
    assert row["value"] == 1.0
    assert 0.5 < row["low"] < 1.0


def test_a_constant_model_works(shift):
    answer = shift(score_table().assign(score=0.5))
    assert answer.code == 0
    assert "every score is the same" in answer.passport["sentences"][0]
    refused = answer.table.loc[("gain", "bias_temperature")]
    assert refused["verdict"] == "refused: All scores are the same, so there is no slope"


def test_sides_that_do_not_overlap_are_not_decomposed(shift):
    given = score_table(patients=60)
    here = given["domain"] == LOCAL
    spread = np.arange(len(given)) % 5
    answer = shift(given.assign(age_years=np.where(here, 80, 20) + spread, view=np.where(here, "AP", "PA")))
    assert answer.code == 0
    assert "The gap in AUROC is not decomposed (refused: no overlap: domain AUROC 1.000" in answer.passport["sentences"][2]
    weighted = answer.table.loc[("gain", "importance")]
    assert weighted["verdict"] == "refused: no overlap"
    assert "domain AUROC 1.000" in weighted["note"]


BAD = {
    "above 1": (lambda table: table.assign(score=table["score"] + 1), "scores lie outside [0, 1]"),
    "NaN": (lambda table: table.assign(score=table["score"].mask(table.index == 3)), "1 scores are missing"),
    "duplicates": (lambda table: pd.concat([table, table.head(2)]), "2 rows score a film a second time"),
    "mixed thresholds": (lambda table: table.assign(threshold=0.4 + 0.1 * (table.index % 2)), "2 thresholds are mixed"),
    "two labels": (lambda table: table.assign(label=table["label"] + 2), "neither 0, 1 nor empty"),
    "one side": (lambda table: table[table["domain"] == "global"], "The local side has no test film"),
    "words": (lambda table: table.astype({"score": object}).assign(score="likely"), "are no numbers"),
    "no column": (lambda table: table.drop(columns="score"), "Column 'score' is missing"),
    "empty": (lambda table: table.head(0), "The table has no row"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_named_in_three_sentences(shift, case):
    spoil, message = BAD[case]
    answer = shift(spoil(score_table()))
    assert answer.code == 3
    assert message in " ".join(answer.text.split())
    assert answer.text.strip().count(". ") >= 2
    assert not (answer.folder / "passport.html").exists()


def test_an_unknown_finding_arm_or_side_is_named_with_what_there_is(shift):
    given = score_table().assign(finding="tuberculosis", arm="new")
    unknown = shift(given, "finding=tubercolosis")
    assert (unknown.code, "Did you mean 'tuberculosis'?" in unknown.text) == (2, True)
    other = shift(given, "arm=old")
    assert (other.code, "Allowed: new" in other.text) == (2, True)
    nowhere = shift(given, "side='external: Pune'")
    assert (nowhere.code, "external: Pune side has no test film" in nowhere.text) == (3, True)


def test_several_models_ask_for_one(shift):
    given = pd.concat([score_table().assign(arm=name) for name in ("old", "new")])
    answer = shift(given)
    assert answer.code == 2
    assert "Choose one: arm=new" in answer.text


def test_neither_or_both_of_run_and_scores_are_refused(shift, tmp_path):
    for words in ((), ("run=somewhere", "scores=scores.csv")):
        answer = shift(None, *words)
        assert answer.code == 2
        assert "Give either a folder of runs or a table of scores" in answer.text
    with pytest.raises(ConfigError, match="Give either"):
        main({"run": None, "scores": None, **_settings()})


def _settings() -> dict:
    plan = {"_target_": "medsetu.shift.plan.ShiftPlan"}
    table = {"_target_": "medsetu.adaptation.repair.RepairPlan"}
    named = dict.fromkeys(("name", "edition", "source", "finding"), "x")
    aims = {"sensitivity": 0.9, "specificity": 0.7, "assumed_sensitivity": 0.95, "assumed_specificity": 0.8}
    return {"shift": plan, "repair_table": table, "profile": named | aims, "probe": False}


def test_missing_files_and_empty_folders_are_named(shift, tmp_path):
    missing = shift(None, "nowhere.csv")
    assert missing.code == 3
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        empty = shift(None, folder)
        assert (empty.code, "No finished run was found" in empty.text) == (2, True)


def test_votes_that_are_no_votes_are_refused(shift, tmp_path):
    given = score_table()
    pd.DataFrame({"sample_id": given["sample_id"], "reader": 2}).to_csv(tmp_path / "votes.csv", index=False)
    answer = shift(given, "votes=votes.csv")
    assert (answer.code, "A vote is neither 0, 1 nor empty" in answer.text) == (3, True)


def test_other_names_of_columns_and_an_output_folder(shift, tmp_path):
    answer = shift(score_table().rename(columns={"score": "probability"}), "columns.score=probability", "output=elsewhere", "repairs=null")
    assert answer.code == 0
    assert (tmp_path / "elsewhere/passport.html").is_file()


def test_a_table_of_scores_needs_no_torch(tmp_path):
    score_table().to_csv(tmp_path / "scores.csv", index=False)
    code = (
        "import sys\nfrom medsetu import cli\n"
        "try:\n    cli.main(sys.argv[1:])\nexcept SystemExit as left:\n    done = left.code\n"
        "sys.stdout.write(f'done {done} ' + ','.join(sorted({'torch', 'monai', 'lightning', 'timm'} & set(sys.modules))))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, "shift", "scores.csv", *TINY], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.rsplit("\n", 1)[-1] == "done 0 "


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory):
    """The verb on the finished study, its answer written elsewhere."""
    folder = tmp_path_factory.mktemp("shift") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        with pytest.raises(SystemExit) as left:
            cli.main(["shift", str(finished.study), f"output={folder}", "saliency=2", *TINY])
    return Answer(left.value.code, "", folder)


def test_a_study_gets_ladder_probe_and_repairs(study, finished):
    assert study.code == 0
    table = study.table
    assert set(table["section"]) == set(SECTIONS)
    assert {"batchnorm", "histogram"} <= set(table[table["section"] == "repair"].index.get_level_values("subject"))
    shortcut = table[table["section"] == "shortcut"].index.get_level_values("measure")
    assert "ladder" in set(shortcut)
    settings = study.passport["settings"]
    assert settings["openings of the test"] >= 1
    assert settings["plan"] == "not sealed before the test was opened"
    assert any("was opened" in note for note in study.passport["notes"])


def test_an_arm_that_learned_from_local_labels_is_measured_and_its_networks_are_left_alone(finished, tmp_path):
    with pytest.raises(SystemExit) as left:
        cli.main(["shift", str(finished.study), "arm=transfer", "probe=true", f"output={tmp_path / 'out'}", *TINY])
    assert left.value.code == 0
    table = read_table(tmp_path / "out" / "shift.parquet").set_index(["section", "subject"])
    assert str(table.loc[("repair", "batchnorm"), "verdict"]).startswith("refused: the arm has learned from local labels")
    assert set(table.index.get_level_values("section")) == set(SECTIONS)


def test_illustrations_carry_numbers_and_never_reach_the_passport(study):
    assert {"illustration_0.png", "illustration_1.png"} <= set(study.bytes())
    assert "illustration" not in (study.folder / "passport.html").read_text()


def test_a_study_names_no_patient_and_no_film(study, finished):
    """T44: neither the planted name nor any id of the manifest stands in what is shown."""
    predictions = read_table(finished.study / "predictions.parquet")
    names = {str(name) for column in ("sample_id", "patient_id") for name in predictions[column].dropna()}
    for name, content in study.bytes().items():
        text = content.decode(errors="replace")
        assert SENTINEL not in text
        assert [one for one in names if len(one) > 3 and one in text] == [], name


def test_the_words_of_the_configuration_are_those_of_the_verb():
    text = (config_folder() / "shift.yaml").read_text()
    for key in ("run:", "scores:", "votes:", "finding:", "arm:", "side:", "probe:", "saliency:", "output:"):
        assert f"\n{key}" in text
