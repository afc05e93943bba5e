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
from medsetu.catalog.weights import load_weight_cards
from medsetu.core.errors import ConfigError
from medsetu.experiment.catalog import catalog, main, weight_cards, weight_list


def _lines(**settings) -> list[str]:
    console = Console(width=80, file=io.StringIO())
    console.print(catalog(cards_folder(), **settings))
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
    assert "not available" in rows["covbaseai_india"]


def test_filters():
    india = {card.name for card in load_cards() if card.region == "india"}
    breast = {card.name for card in load_cards() if card.modality == "MG"}
    assert _names(region="india") == india
    assert _names(modality="MG") == breast
    assert _names(region="india", modality="MG") == india & breast == {"dmid", "ibcd"}
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


@pytest.mark.parametrize("wrong", [{"region": "indai"}, {"modality": "PET"}, {"use": "sale"}, {"name": "nitrdd"}])
def test_unknown_values_are_refused(wrong):
    with pytest.raises(ConfigError, match="Allowed"):
        catalog(cards_folder(), **wrong)


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
