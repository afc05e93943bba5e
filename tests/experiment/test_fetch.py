# SPDX-License-Identifier: Apache-2.0
"""The verb: what it fetches, what it asks, what it says, and the codes it leaves with."""

import json
import shutil
import sys
from dataclasses import replace
from importlib import import_module

import pytest

from fakes.packed import tarred, zipped
from fakes.server import Behaviour, serving
from medsetu import cli
from medsetu.catalog.card import load_card
from medsetu.catalog.file import RemoteFile
from medsetu.core.errors import AccessError, ConfigError, LicenceError
from medsetu.experiment import fetch as module
from medsetu.experiment.fetch import fetch, main
from medsetu.fetch.consent import NAME as CONSENT
from medsetu.fetch.release import Plan

SENTINEL = "ZZ^SENTINEL"
CONFIG = {
    "name": "shenzhen",
    "folder": None,
    "accept": False,
    "only": [],
    "connections": 4,
    "unpack": True,
    "keep_archives": False,
    "timeout": 60,
    "retries": 6,
    "max_gb": 2000,
    "max_ratio": 100,
    "paths": {"data": "data"},
}


@pytest.fixture
def site():
    with serving() as server:
        yield server


@pytest.fixture
def card(site):
    site.files["/s.zip"] = Behaviour(zipped([("ChinaSet_AllFiles/CXR_png/CHNCXR_0001_0.png", b"x")]))
    site.files["/t.csv"] = Behaviour(b"a,b\n")
    files = (
        RemoteFile(url=site.url(f"/s.zip?sig={SENTINEL}"), name="s.zip", unpack=True),
        RemoteFile(url=site.url("/t.csv"), name="t.csv"),
    )
    return replace(load_card("shenzhen"), files=files, by_hand=("readme.pdf (a letter will do)",))


def test_an_open_release_is_fetched_and_what_comes_next_is_said(card, tmp_path, capsys, site):
    fetch(card, tmp_path, plan=Plan(), accept=True)
    out, log = capsys.readouterr()
    assert (tmp_path / "ChinaSet_AllFiles/CXR_png/CHNCXR_0001_0.png").read_bytes() == b"x"
    assert "Licence: LicenseRef-NLM-attribution-requested" in out
    assert "Not verified, for no digest is known: s.zip, t.csv" in out
    assert "Layout that medsetu expects: ChinaSet_AllFiles" in out
    assert "Still to be fetched by hand from https://lhncbc.nlm.nih.gov" in out
    (tmp_path / "readme.pdf").write_text("")
    assert f"Next: medsetu prepare release=shenzhen root={tmp_path}" in out
    assert "s.zip: " in log
    assert SENTINEL not in out + log
    before = sum(map(len, site.asked.values()))
    fetch(card, tmp_path, plan=Plan())
    again = capsys.readouterr().out
    assert "Complete: 2 files where they belong" in again
    assert "by hand" not in again
    assert "Licence" not in again
    assert sum(map(len, site.asked.values())) == before


def test_terms_that_are_not_accepted_fetch_nothing(card, tmp_path, capsys, site, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(LicenceError, match="accept=true"):
        fetch(card, tmp_path / "new", plan=Plan())
    assert "no legal advice" in capsys.readouterr().out
    assert not site.asked
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("answer", "fetched"), [("yes", True), ("no", False)])
def test_a_person_at_the_terminal_is_asked_once(card, tmp_path, monkeypatch, answer, fetched):
    asked = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(module.Console, "input", lambda self, words: asked.append(words) or answer)
    if not fetched:
        with pytest.raises(LicenceError):
            fetch(card, tmp_path, plan=Plan())
        return
    fetch(card, tmp_path, plan=Plan(), only=["t.csv"])
    fetch(card, tmp_path, plan=Plan())
    assert len(asked) == 1
    assert json.loads((tmp_path / CONSENT).read_text())["accepted_by"] == "terminal"


def test_some_files_can_be_chosen_and_a_wrong_name_gets_the_nearest(card, tmp_path):
    fetch(card, tmp_path, plan=Plan(), accept=True, only=["*.csv"])
    assert (tmp_path / "t.csv").is_file()
    assert not (tmp_path / "ChinaSet_AllFiles").exists()
    with pytest.raises(ConfigError, match=r"Did you mean 't\.csv'"):
        fetch(card, tmp_path, plan=Plan(), accept=True, only=["tt.csv"])


def test_what_stays_packed_is_said(card, tmp_path, capsys):
    fetch(card, tmp_path, plan=Plan(unpack=False), accept=True)
    assert "Still packed, in" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["vindr_cxr", "cq500", "nitrd", "rsna_pneumonia", "tb_chest_radiography_database"])
def test_other_releases_get_their_steps_and_a_code_of_their_own(name, tmp_path, capsys):
    with pytest.raises(AccessError, match="nothing was fetched") as caught:
        main(CONFIG | {"name": name, "folder": str(tmp_path)})
    out = capsys.readouterr().out
    assert [line[:2] for line in out.splitlines()[:4]] == ["1.", "2.", "3.", "4."]
    assert str(tmp_path) in out
    assert "medsetu prepare" in out
    assert "None" not in out
    assert caught.value.exit_code == 10
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_to_be_had_points_to_what_is(capsys):
    with pytest.raises(AccessError, match=r"not to be had.*Nearest: dmid"):
        main(CONFIG | {"name": "ibcd"})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["table", "phantom"])
def test_what_is_ones_own_is_not_fetched(name):
    with pytest.raises(AccessError, match="is not a download"):
        main(CONFIG | {"name": name})


@pytest.mark.parametrize(
    "wrong",
    [{"name": "shenzen"}, {"connections": 0}, {"connections": 99}, {"timeout": 0}, {"retries": "many"}, {"max_ratio": 0}, {"max_gb": True}],
)
def test_wrong_keys_are_refused(wrong):
    with pytest.raises(ConfigError):
        main(CONFIG | wrong)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["vindr_cxr"], 10),
        (["release=vindr_cxr"], 10),
        (["release=VinBigData"], 10),
        (["release=shenzhen"], 5),
        (["release=shenzen"], 2),
        (["release=shenzhen", "acept=true"], 2),
    ],
)
def test_the_command_line_knows_the_verb_and_its_codes(words, code, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(SystemExit) as left:
        cli.main(["fetch", *words])
    assert left.value.code == code
    assert list(tmp_path.iterdir()) == []


def _packed(root, card):
    """The folder of a fake as the archives of its card: all of it, one folder of it, or below the folder that the card leaves out."""
    contents = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    for file in card.files:
        below = f"{file.into}/" if file.into else ""
        members = [(name.removeprefix(below), content) for name, content in contents.items() if name.startswith(below)]
        members = [(f"{file.inside}/{name}" if file.inside else name, content) for name, content in members]
        yield file, zipped(members) if file.name.endswith(".zip") else tarred(members)


@pytest.mark.parametrize(
    ("name", "reader", "settings"),
    [
        ("shenzhen", "Shenzhen", {"per_class": 2}),
        ("montgomery", "Montgomery", {"per_class": 2}),
        ("busi", "Busi", {"per_class": 2}),
        ("mini_mias", "MiniMias", {"per_class": 2}),
        ("covid_chestxray", "CovidChestxray", {"per_class": 2}),
        ("nih_chestxray14", "NihChestXray14", {"patients": 4, "folder": "images_001/images"}),
    ],
)
def test_what_is_fetched_is_what_the_reader_reads(name, reader, settings, site, tmp_path):
    """The archives of each card, packed from a fake of the release, lie afterwards as its adapter expects them."""
    root = import_module(f"fakes.{name}").write(tmp_path / "fake", **settings)
    known, files = load_card(name), []
    for file, content in _packed(root, known):
        site.files[f"/{file.name}"] = Behaviour(content)
        files.append(replace(file, url=site.url(f"/{file.name}"), digest=None))
    folder = tmp_path / "fetched"
    fetch(replace(known, files=tuple(files)), folder, plan=Plan(), accept=True)
    for by_hand in known.by_hand:
        if (root / by_hand).is_file():
            shutil.copy(root / by_hand, folder)
    make = getattr(import_module(f"medsetu.release.{name}"), reader)
    index, wanted = make(root=folder).index().samples, make(root=root).index().samples
    assert len(index) > 0
    assert index["sample_id"].tolist() == wanted["sample_id"].tolist()


def test_one_pattern_may_stand_without_brackets(card, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "release", lambda folder, name: card)
    main(CONFIG | {"folder": str(tmp_path), "accept": True, "only": "t.csv"})
    assert (tmp_path / "t.csv").is_file()
