# SPDX-License-Identifier: Apache-2.0
"""``medsetu catalog``: 80 columns, filters, one whole card, and no heavy import."""

import io
import json
import resource
import subprocess
import sys

import pytest
from rich.console import Console

from medsetu.catalog.card import cards_folder, load_card, load_cards
from medsetu.catalog.search import Filter
from medsetu.catalog.weights import load_weight_cards
from medsetu.core.errors import ConfigError
from medsetu.experiment.catalog import catalog, export, main, releases, weight_cards
from medsetu.experiment.catalog_table import weight_list


def _lines(*, name: str = "", text: str = "", **wanted) -> list[str]:
    console = Console(width=80, file=io.StringIO())
    console.print(catalog(cards_folder(), name=name, text=text, wanted=Filter(**wanted)))
    return console.file.getvalue().splitlines()


def _names(**settings) -> set[str]:
    return {line.split()[0] for line in _lines(**settings) if line.strip()} & {card.name for card in load_cards()}


def test_the_list_holds_every_release_in_80_columns():
    lines = _lines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert _names() == {card.name for card in load_cards()}
    row = next(line for line in lines if line.startswith("nih_chestxray14 ")).split()
    assert row[1:4] == ["USA", "CXR", "112,120"]
    assert row[-1] == "yes"


def test_numbers_that_are_not_sure_say_so():
    rows = {line.split()[0]: line for line in _lines() if line.strip()}
    assert "306?" in rows["nitrd"]
    assert " - " in rows["tb_portals_india"]
    assert "not released" in rows["covbaseai_india"]
    assert "not found" in rows["ibcd"]


def test_india_is_shown_whole_with_licence_and_access():
    lines = _lines(region="india")
    assert max(len(line.rstrip()) for line in lines) <= 80
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    for card in load_cards():
        if card.region == "india" or card.made_in:
            assert rows[card.name][-2] in ("open", "sign-in", "agree", "none"), card.name
    assert rows["cq500"][-3:] == ["CC-BY-NC-SA", "agree", "no"]
    assert rows["dmid"][-3:] == ["CC-BY-4.0", "open", "yes"]
    flat = " ".join(" ".join(lines).split())
    assert "ibcd: see dmid" in flat
    assert "Made in India from patients elsewhere: caaxr, mammo_bench" in flat


def test_a_search_keeps_its_order_and_joins_with_filters():
    rows = [line.split()[0] for line in _lines(text="tuberculosis", region="india")[1:] if line.strip()]
    assert rows[0] in ("state_tb_cxr", "nitrd", "tb_portals_india", "in_cxr", "kaggle_tb_mumbai", "jipmer_tb", "nitrd_da")
    assert "shenzhen" not in rows
    assert [card.name for card in releases(cards_folder(), text="tb", wanted=Filter(region="india"))] == [
        row for row in rows if row in {card.name for card in load_cards()}
    ]


def test_an_export_holds_a_file_per_release_and_none_for_a_mere_name(tmp_path, capsys):
    main({"action": "list", "region": "india", "modality": "MG", "export": str(tmp_path / "out")})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dmid.croissant.json", "mammo_bench.croissant.json"]
    assert "Wrote 2 Croissant files" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "dmid.croissant.json").read_text())["name"] == "dmid"
    with pytest.raises(ConfigError, match="no release to export"):
        export([load_card("ibcd"), *load_weight_cards()[:1]], tmp_path)


def test_filters():
    india = {card.name for card in load_cards() if card.region == "india" or card.made_in}
    breast = {card.name for card in load_cards() if card.modality == "MG"}
    assert _names(region="india") == india
    assert breast <= _names(modality="MG")
    assert _names(region="india", modality="MG") == {"dmid", "ibcd", "mammo_bench"}
    assert _names(use="commercial") >= {"nih_chestxray14", "cmmd", "phantom"}
    assert not _names(use="commercial") & {"nitrd", "chexpert"}
    assert "covbaseai_india" not in _names(use="research")
    assert "embed" not in _names(use="release_weights")


def test_one_card_whole():
    text = "\n".join(_lines(name="nitrd"))
    flat = " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    card = load_card("nitrd")
    for fact in (card.title, card.doi, card.traps[1], "verdict commercial refused", "tbx11k (contained)"):
        assert fact in flat
    assert "n patients unknown" in flat
    assert "in return" not in flat, "no licence text is known"
    bound = " ".join(" ".join(_lines(name="CQ500-CT")).split())
    assert "verdict commercial refused: NonCommercial, section 2(a)(1) of CC-BY-NC-SA-4.0" in bound
    assert "ShareAlike, section 3(b) of CC-BY-NC-SA-4.0: what is adapted" in bound
    assert "dmid" in "\n".join(_lines(name="IBCD"))


@pytest.mark.parametrize(
    "wrong", [{"region": "indai"}, {"modality": "PET"}, {"use": "sale"}, {"name": "nitrdd"}, {"action": "shwo"}, {"patient_ids": "2"}]
)
def test_unknown_values_are_refused(wrong):
    with pytest.raises(ConfigError, match="Allowed"):
        main(wrong)


def test_showing_nothing_is_refused():
    with pytest.raises(ConfigError, match="medsetu catalog show nitrd"):
        main({"action": "show"})


def test_main_prints(capsys):
    main({"name": None, "region": "india", "unrelated": 1})
    assert "nitrd" in capsys.readouterr().out


def test_the_verb_is_quick_and_light():
    code = "import sys; from medsetu.experiment.catalog import main; main({}); sys.stderr.write(' '.join(sys.modules))"

    def call() -> tuple[float, set[str]]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, set(done.stderr.split())

    calls = [call() for _ in range(3)]  # processor time: a busy machine does not count
    assert not calls[0][1] & {"torch", "pandas", "numpy", "hydra", "omegaconf"}
    assert min(seconds for seconds, _ in calls) < 0.5


def _weights(**settings) -> list[str]:
    console = Console(width=80, file=io.StringIO())
    console.print(weight_list(weight_cards(**settings)))
    return console.file.getvalue().splitlines()


def test_the_list_of_weights_fits_and_joins_all_terms():
    lines = _weights()
    assert max(len(line.rstrip()) for line in lines) <= 80
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert {card.name for card in load_weight_cards()} <= set(rows)
    assert rows["densenet121_xrv_nih"] == ["densenet121_xrv_nih", "224", "6.9", "Apache-2.0", "yes", "yes", "yes"]
    assert rows["densenet121_xrv"][-3:] == ["yes", "no", "no"], "six releases have a say"
    assert rows["dinov2_vit_small_timm"][-3:] == ["yes", "yes", "yes"]
    assert "mammo_clip_b5" not in "\n".join(_weights(use="commercial"))


def test_one_card_of_weights_whole_and_as_json(capsys):
    main({"kind": "weights", "name": "densenet121_xrv"})
    flat = " ".join(capsys.readouterr().out.split())
    for fact in ("Apache-2.0", "verdict commercial refused: chexpert", "224 x 224", "sha256 unknown", "mimic_cxr_jpg"):
        assert fact in flat
    main({"kind": "weights", "text": "chexpert"})
    assert "densenet121_xrv_chex" in capsys.readouterr().out
    main({"kind": "weights", "json": "true", "use": "commercial"})
    cards = json.loads(capsys.readouterr().out)
    assert {"densenet121_xrv_nih", "dinov2_vit_small_timm"} <= {card["name"] for card in cards}
    assert all(card["code_licence"] and card["weights_licence"] and card["data_terms"] for card in cards)
    main({"json": "true", "name": "nitrd"})
    assert json.loads(capsys.readouterr().out)[0]["checked_on"] == str(load_card("nitrd").checked_on)


@pytest.mark.parametrize("wrong", [{"kind": "wights"}, {"kind": "weights", "name": "rad_din"}, {"kind": "weights", "use": "sale"}])
def test_unknown_words_about_weights_are_refused(wrong):
    with pytest.raises(ConfigError, match="Allowed"):
        main(wrong)


def test_a_card_says_what_fetch_can_do():
    flat = " ".join(" ".join(_lines(name="medmnist")).split())
    assert "medsetu fetch medmnist brings 18 files, 18 with a published digest" in flat
    assert "prints the steps" in " ".join(" ".join(_lines(name="vindr_cxr")).split())
    assert "fetch not to be had" in " ".join(" ".join(_lines(name="ibcd")).split())
