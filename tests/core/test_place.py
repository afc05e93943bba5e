# SPDX-License-Identifier: Apache-2.0
"""The configuration is found in a checkout and in a wheel, and its absence is said."""

import re
import shutil
from pathlib import Path

import pytest

from medsetu.core import place
from medsetu.core.errors import ResourceError
from medsetu.core.place import code_revision, config_folder


def test_a_copy_of_medsetu_has_its_configuration():
    assert (config_folder() / "catalog" / "nitrd.yaml").is_file()


def test_the_wheel_comes_before_the_checkout(tmp_path, monkeypatch):
    package = tmp_path / "src" / "medsetu"
    monkeypatch.setattr(place, "_PACKAGE", package)
    (tmp_path / "configs").mkdir()
    package.mkdir(parents=True)
    assert config_folder() == tmp_path / "configs"
    (package / "configs").mkdir()
    assert config_folder() == package / "configs"


def test_an_incomplete_installation_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(place, "_PACKAGE", tmp_path / "src" / "medsetu")
    with pytest.raises(ResourceError, match="Install medsetu again"):
        config_folder()


def test_a_checkout_knows_its_revision_and_a_wheel_has_none(tmp_path, monkeypatch):
    assert re.fullmatch(r"|[0-9a-f]{40}(-dirty)?", code_revision())
    monkeypatch.setattr(place, "_PACKAGE", tmp_path / "src" / "medsetu")
    assert code_revision() == ""


def test_the_hash_of_the_sources_knows_every_file(monkeypatch, tmp_path):
    place.source_hash.cache_clear()  # another test may have asked for another copy
    before = place.source_hash()
    assert len(before) == 64
    copy = shutil.copytree(Path(place.__file__).parents[1], tmp_path / "src" / "medsetu", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(place, "_PACKAGE", copy)
    place.source_hash.cache_clear()
    assert place.source_hash() == before
    assert place.lock_hash() == ""  # a wheel carries no lock
    (copy / "core" / "place.py").write_text("# other\n")
    place.source_hash.cache_clear()
    assert place.source_hash() != before
    place.source_hash.cache_clear()
