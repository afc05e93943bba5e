# SPDX-License-Identifier: Apache-2.0
"""Finished runs again, and on a release that no run has seen."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from fakes import table
from fakes.film import SENTINEL

OWN = ("+release@sides.external.mine=table", "sides.external.mine.name=mine")
COLUMNS = "++sides.external.mine.columns={image: file, patient: hospital_no, sex: gender}"
TB = "tuberculosis: {column: diagnosis, positive: [TB], negative: [healthy]}"


def results_of(folder):
    return pd.read_parquet(folder / "results.parquet")


@pytest.fixture
def mine(tmp_path):
    """Words that name a release of one's own."""

    def words(findings):
        root = table.write(tmp_path / "mine", patients=12)
        finding_columns = f"sides.external.mine.finding_columns={findings}"
        return [*OWN, f"sides.external.mine.root={root}", f"sides.external.mine.labels={root / 'labels.csv'}", COLUMNS, finding_columns]

    return words


def test_the_runs_of_a_study_give_its_results_again(say, finished, tmp_path):
    code, said = say("evaluate", f"run={finished.runs / 'demo'}", f"output={tmp_path / 'again'}")
    assert code == 0, said
    for name in ("results.csv", "matrix.csv", "contrasts.csv", "ladder.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (finished.study / name).read_bytes()


def test_another_plan_changes_only_what_it_says(say, finished, tmp_path):
    code, said = say(
        "evaluate", f"run={finished.run('transfer')}", f"output={tmp_path / 'again'}", "+evaluation.margin=0.2", "+evaluation.groups=[view]"
    )
    assert code == 0, said
    groups = results_of(tmp_path / "again")["group"].unique()
    assert {name.partition("=")[0] for name in groups} == {"all", "view"}


def test_a_new_release_is_scored_by_every_run(say, finished, mine, tmp_path):
    code, said = say("evaluate", f"run={finished.runs / 'demo'}", f"output={tmp_path / 'new'}", *mine(f"{{{TB}, effusion: fluid}}"))
    assert code == 0, said
    results = results_of(tmp_path / "new")
    auroc = results[(results["domain"] == "external") & (results["metric"] == "auroc") & (results["group"] == "all")]
    tuberculosis = auroc[auroc["finding"] == "tuberculosis"].set_index("arm")
    assert set(tuberculosis.index) == {"global-only", "local-only", "transfer"}
    assert tuberculosis["value"].notna().all()
    assert tuberculosis["n_samples"].eq(24).all()
    unknown = auroc[auroc["finding"] == "cardiomegaly"]  # the head knows it, the release does not label it
    assert unknown["value"].isna().all()
    assert unknown["note"].ne("").all()
    assert "external: mine" in set(pd.read_csv(tmp_path / "new" / "matrix.csv")["side"])
    assert [path for path in (tmp_path / "new").rglob("*.*") if SENTINEL.encode() in path.read_bytes()] == []
    assert SENTINEL not in said
    known = results[results["domain"] != "external"].reset_index(drop=True)
    columns = ["arm", "domain", "group", "finding", "metric", "value"]
    before = results_of(finished.study)
    pd.testing.assert_frame_equal(
        known[columns].sort_values(columns[:-1], ignore_index=True), before[columns].sort_values(columns[:-1], ignore_index=True)
    )


def test_a_new_release_without_the_primary_finding_is_no_crash(say, finished, mine, tmp_path):
    code, said = say("evaluate", f"run={finished.runs / 'demo'}", f"output={tmp_path / 'new'}", *mine("{effusion: fluid}"))
    assert code == 0, said
    matrix = pd.read_csv(tmp_path / "new" / "matrix.csv")
    external = matrix[matrix["side"] == "external"]
    assert external["value"].isna().all()
    assert external["note"].notna().all()


def test_a_folder_without_runs_is_refused(say, tmp_path):
    code, said = say("evaluate", f"run={tmp_path}")
    assert code == 2
    assert "No finished run was found" in said


def test_runs_of_two_recipes_are_refused(say, copied):
    recipe = copied.run("transfer") / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("name: demo\n", "name: other\n", 1))
    code, said = say("evaluate", f"run={copied.runs / 'demo'}")
    assert code == 2
    assert "2 recipes" in said


def test_two_runs_of_one_cell_are_not_mixed(say, copied):
    run = copied.run("transfer")
    run.with_name("transfer-s0-otherkey").mkdir()
    for name in ("recipe.yaml", "done.json"):
        run.with_name("transfer-s0-otherkey").joinpath(name).write_bytes((run / name).read_bytes())
    code, said = say("evaluate", f"run={copied.runs / 'demo'}")
    assert code == 2
    assert "transfer-s0-otherkey" in said


def test_a_new_release_with_a_film_of_the_training_is_refused(say, finished, tmp_path):
    """T12: the copy would leave the global side and come back as an untouched external test."""
    manifest = pd.read_parquet(finished.runs / "work" / "manifest" / "demo" / "manifest.parquet")
    films = manifest[(manifest["domain"] == "global")].groupby("tuberculosis").head(4)
    folder = tmp_path / "copied"
    folder.mkdir()
    rows = []
    for number, film in enumerate(films.to_dict("records")):
        shutil.copy(Path(film["root"]) / film["path"], folder / f"{number}.dcm")
        rows.append({"image": f"{number}.dcm", "tb": int(film["tuberculosis"])})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    at = "sides.external.mine"
    words = [f"{at}.root={folder}", f"{at}.labels=labels.csv", f"{at}.finding_columns={{tuberculosis: tb}}", f"{at}.name=mine"]
    code, told = say("evaluate", f"run={finished.runs / 'demo'}", f"output={tmp_path / 'out'}", f"+release@{at}=table", *words)
    assert code == 4
    assert "have met" in told
