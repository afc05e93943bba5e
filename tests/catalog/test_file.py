# SPDX-License-Identifier: Apache-2.0
"""The files of a card: addresses, names and digests that may stand there."""

from pathlib import Path

import pytest

from medsetu.catalog.card import load_cards
from medsetu.catalog.file import RemoteFile, read_files
from medsetu.core.errors import ConfigError

CARD = Path("card.yaml")
GOOD = {"url": "https://example.org/a.zip", "name": "a.zip"}


def test_what_is_not_said_is_not_known():
    assert read_files([GOOD], CARD) == (RemoteFile(url="https://example.org/a.zip", name="a.zip"),)
    assert read_files(None, CARD) == ()


def test_everything_that_can_be_said():
    item = GOOD | {"bytes": 7, "digest": f"sha256:{'0' * 64}", "unpack": True, "inside": "top", "into": "x/y"}
    assert read_files([item], CARD)[0] == RemoteFile(**item)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"url": "file:///etc/passwd"}, "not http"),
        ({"url": "ftp://example.org/a"}, "not http"),
        ({"url": "https://user:secret@example.org/a"}, "holds a user"),
        ({"name": "../a.zip"}, "plain file name"),
        ({"name": "a/b.zip"}, "plain file name"),
        ({"name": ".hidden"}, "plain file name"),
        ({"into": "../elsewhere"}, "leaves the folder"),
        ({"inside": "/top"}, "leaves the folder"),
        ({"bytes": 0}, "length"),
        ({"bytes": "7 GB"}, "length"),
        ({"bytes": True}, "length"),
        ({"digest": "md5:abc"}, "digest"),
        ({"digest": "sha1:" + "0" * 40}, "digest"),
        ({"unpack": "perhaps"}, "yes nor no"),
        ({"unpack": True, "name": "a.rar"}, "ends in none"),
        ({"mirror": "b"}, "name url and name"),
    ],
)
def test_what_is_wrong_is_refused_without_the_address(change, match):
    with pytest.raises(ConfigError, match=match) as caught:
        read_files([GOOD | change], CARD)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("items", [[GOOD, GOOD], [GOOD, GOOD | {"name": "A.ZIP"}], "a.zip", [["a.zip"]]])
def test_a_list_that_is_none_and_one_name_twice_are_refused(items):
    with pytest.raises(ConfigError):
        read_files(items, CARD)


def test_only_open_releases_have_files_and_say_where_the_addresses_are_from():
    cards = [card for card in load_cards() if card.files]
    assert {"nih_chestxray14", "medmnist", "shenzhen", "montgomery"} <= {card.name for card in cards}
    for card in cards:
        assert card.route == "open", card.name
        assert not card.tombstone, card.name
        assert any(fact.startswith("address") for fact in card.sources), card.name
        assert all(file.digest for file in card.files) or "files" in card.unverified, card.name


def test_every_known_set_of_medmnist_has_its_digest():
    (card,) = [card for card in load_cards() if card.name == "medmnist"]
    assert len(card.files) == 18
    assert len({file.digest for file in card.files}) == 18
