# SPDX-License-Identifier: Apache-2.0
"""Reading a card: what does not belong on it is refused."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from medsetu.catalog.entry import choice, read_entry, require_name
from medsetu.core.errors import ConfigError


@dataclass
class Small:
    name: str
    note: str = ""


def read(tmp_path: Path, text: str) -> dict[str, object]:
    path = tmp_path / "small.yaml"
    path.write_text(text)
    return read_entry(path, Small, value=lambda key, item, _: (key, item))


def test_values_are_typed_by_the_caller(tmp_path):
    assert read(tmp_path, "name: a\nnote: b\n") == {"name": ("name", "a"), "note": ("note", "b")}


@pytest.mark.parametrize(
    ("text", "match"),
    [("- a\n", "not a list of keys"), ("name: [\n", "not valid YAML"), ("nam: a\n", "Did you mean 'name'"), ("note: a\n", "nothing of")],
)
def test_what_does_not_belong_is_refused(tmp_path, text, match):
    with pytest.raises(ConfigError, match=match):
        read(tmp_path, text)


def test_names_and_choices(tmp_path):
    require_name("small", tmp_path / "small.yaml")
    with pytest.raises(ConfigError, match="named 'other'"):
        require_name("other", tmp_path / "small.yaml")
    with pytest.raises(ConfigError, match="Allowed: yes, no"):
        choice("research_use", "maybe", tmp_path, allowed=("yes", "no"))
