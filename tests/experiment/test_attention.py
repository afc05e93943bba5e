# SPDX-License-Identifier: Apache-2.0
"""A network that sees brightness looks where bright lesions were drawn, through every fit and cut; a finished study can be asked."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console
from torch import nn

from fakes.bright import Bright
from medsetu.backbone.network import Network
from medsetu.backbone.spec import InputSpec, WeightSpec
from medsetu.core.errors import ConfigError
from medsetu.core.run import sha256_file
from medsetu.data.pipeline import Pipeline
from medsetu.data.plan import DataPlan
from medsetu.data.transform import compose, prepare_image
from medsetu.experiment.attention import ATTENTION, attention_view, chosen_films, in_the_picture, play
from medsetu.manifest.drawing import Film, Mark, measure
from medsetu.reader.drawn import Drawn

SPEC = InputSpec(size=(32, 32), channels=1, mean=(0.0,), std=(1.0,))
WEIGHTS = WeightSpec(origin="made here", revision="", sha256="", licence="Apache-2.0", trained_on=())
FINDINGS = ("tuberculosis",)
FEW = ("attention=3", "+evaluation.bootstrap=50")


def network(weight=1.0):
    head = nn.Linear(2, 1)
    nn.init.constant_(head.weight, weight)
    return Network(Bright(), head, findings=FINDINGS, spec=SPEC, weights=WEIGHTS, trained=FINDINGS)


@pytest.fixture
def drawn_films(tmp_path):
    """Six films of 96 x 128 with one bright square each, a box around it, and their manifest."""
    rows, drawn = [], []
    for number in range(6):
        x, y = 34 + 8 * number, 20 + 7 * number
        pixels = np.zeros((96, 128), np.uint8)
        pixels[y : y + 24, x : x + 24] = 255
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        name = f"a/{number}.png"
        digest = sha256_file(tmp_path / f"{number}.png")
        rows.append({"sample_id": name, "root": str(tmp_path), "path": f"{number}.png", "sha256": digest, "patient_id": f"p{number}",
                     "height": 96, "width": 128, "domain": "local", "tuberculosis": 1.0})  # fmt: skip
        mark = Mark("tuberculosis", "", Drawn("box", (x, y, x + 24, y + 24)))
        drawn.append(Film(name, "a", Path(tmp_path), 96, 128, (mark,), {}, "majority"))
    manifest = pd.DataFrame(rows)
    chosen = manifest[["sample_id"]].assign(domain="local", finding="tuberculosis")
    return manifest, measure(drawn).regions, chosen


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_brightness_is_found_where_it_was_drawn(drawn_films, tmp_path, fit):
    manifest, regions, chosen = drawn_films
    plan = DataPlan(cache=tmp_path / "cache", fit=fit, build_workers=0, progress=False)
    found = play(network(), chosen, regions, manifest=manifest, plan=plan)
    assert found["hit"].tolist() == [1.0] * 6
    assert (found["energy"] > 3 * found["area"]).all()
    if fit != "crop":
        np.testing.assert_allclose(found["area"], 24 * 24 / (96 * 128), rtol=0.15)  # of the film, not of its padding
    elsewhere = regions.assign(sample_id=np.roll(regions["sample_id"], 3))
    assert play(network(), chosen, elsewhere, manifest=manifest, plan=plan)["hit"].sum() == 0
    silent = play(network(-1.0), chosen, regions, manifest=manifest, plan=plan)
    assert silent["hit"].sum() == 0
    assert silent["energy"].isna().all()


def test_the_cut_to_the_breast_moves_the_region(tmp_path):
    """A bright breast with a brighter lesion: the region follows what the pipeline cuts away."""
    pixels = np.zeros((200, 160), np.uint8)
    pixels[40:160, :80] = 120
    pixels[60:90, 30:60] = 255
    Image.fromarray(pixels).save(tmp_path / "m.png")
    sample = {"sample_id": "a/m.png", "root": str(tmp_path), "path": "m.png", "height": 200, "width": 160}
    mark = Mark("mass", "", Drawn("box", (30.0, 60.0, 60.0, 90.0)))
    (region,) = measure([Film("a/m.png", "a", tmp_path, 200, 160, (mark,), {}, "majority")]).regions.to_dict("records")
    for cut in ("none", "breast"):
        pipeline = Pipeline((96, 96), cut=cut)
        shown = prepare_image(compose(pipeline), pipeline, path=tmp_path / "m.png", sample_id="a") * pipeline.scale > 0.75
        mask, film = in_the_picture(region, sample, pipeline=pipeline)
        assert (mask & shown).sum() / (mask | shown).sum() > 0.9
        assert film[mask].all()


def test_only_test_films_that_are_present_and_drawn_are_chosen():
    regions = pd.DataFrame({"sample_id": list("abcdef"), "finding": "mass", "area_share": [0.1, 0.1, 0.0, 0.1, 0.1, 0.1]})
    predictions = pd.DataFrame(
        {"sample_id": list("abcdefg"), "finding": "mass", "domain": ["local"] * 4 + ["global"] * 3,
         "split": ["test", "test", "test", "val", "test", "test", "test"], "label": [1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]}
    )  # fmt: skip
    assert chosen_films(predictions, regions, films=9)["sample_id"].tolist() == ["e", "f", "a"]
    assert len(chosen_films(predictions, regions, films=1)) == 2
    assert chosen_films(predictions, regions.iloc[:0], films=9).empty


def test_volumes_are_refused(drawn_films, tmp_path):
    manifest, regions, chosen = drawn_films
    solid = Network(Bright(), nn.Linear(2, 1), findings=FINDINGS, spec=InputSpec(size=(8, 32, 32), channels=1, mean=(0.0,), std=(1.0,)),
                    weights=WEIGHTS, trained=FINDINGS)  # fmt: skip
    with pytest.raises(ConfigError, match="volumes"):
        play(solid, chosen, regions, manifest=manifest, plan=DataPlan(cache=tmp_path))


def test_a_finished_study_is_asked(say, finished, tmp_path):
    code, said = say("evaluate", f"run={finished.run('transfer')}", f"output={tmp_path / 'again'}", *FEW)
    assert code == 0, said
    table = pd.read_csv(tmp_path / "again" / ATTENTION)
    assert set(table["domain"]) == {"global", "local"}
    assert set(table["split"]) == {"test"}
    hits = table[table["metric"] == "pointing_game"]
    assert hits["n_samples"].between(1, 3).all()
    assert hits["value"].between(0, 1).all()
    assert "Where readers drew, and where networks look" in said
    view = attention_view(table)
    assert view.row_count == len(hits) + len(hits[["run", "domain"]].drop_duplicates())
    console = Console(file=io.StringIO(), width=80)
    console.print(view)
    assert all(f"  {finding} " in console.file.getvalue() for finding in set(hits["finding"])), "names are not broken"


def test_a_study_without_drawings_says_what_to_do(say, finished, tmp_path, monkeypatch):
    nothing = pd.DataFrame({"sample_id": [], "finding": [], "area_share": []})
    monkeypatch.setattr("medsetu.experiment.evaluate.read_regions", lambda folder: nothing)
    code, said = say("evaluate", f"run={finished.run('transfer')}", f"output={tmp_path / 'again'}", *FEW)
    assert code != 0
    assert "readers drew" in said
    assert not (tmp_path / "again" / ATTENTION).exists()
