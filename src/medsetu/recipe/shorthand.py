# SPDX-License-Identifier: Apache-2.0
"""Releases by their names alone: ``release=nitrd root=FOLDER`` as the overrides of a recipe that only prepares them."""

import re
from collections.abc import Sequence
from pathlib import Path

from medsetu.catalog.card import load_card
from medsetu.core.errors import ConfigError
from medsetu.core.sample import DOMAINS, GLOBAL, LOCAL

TABLE = "table"
_WORD = re.compile(r"(release|side|root)=(.*)", re.DOTALL)
_KEY = re.compile(r"(\+{0,2}|~)release\.(.+)", re.DOTALL)


def release_words(words: Sequence[str], *, folder: Path) -> list[str]:
    """Write words that name releases as overrides of the recipe ``release``.

    A release stands on the side of its patients: local for those of India and for your own, global for all others, unless ``side=`` says
    another. Your own table bears the name that ``name=`` gives.

    Args:
        words: Words after the verb: ``release=NAME``, once or several times, or ``release=[NAME,NAME]``; ``side=`` for all of them; with
            one release ``root=FOLDER`` and ``release.KEY=VALUE`` for keys of its adapter.
        folder: The shipped ``configs/``.

    Returns:
        The overrides; words without ``release=`` come back as they are.

    Raises:
        ConfigError: A recipe is named too, a side is unknown, or a word is about one release while several are named.

    Example:
        >>> from medsetu.core.place import config_folder
        >>> release_words(["release=nitrd", "root=films", "seed=1"], folder=config_folder())[1:4]
        ['+release@sides.local.nitrd=nitrd', 'name=nitrd', 'sides.local.nitrd.root=films']
    """
    own = [match for word in words if (match := _WORD.fullmatch(word))]
    names = [name for match in own if match[1] == "release" for name in _listed(match[2])]
    if not names:
        return list(words)
    if not all(names):
        raise ConfigError(what="No release is named", where="Key release", remedy="Write release=<name>; see medsetu catalog list")
    if any(word.startswith("recipe=") for word in words):
        raise ConfigError(
            what="A recipe and a release are named", where="Command line", remedy="A recipe names its own releases: give one of the two"
        )
    given = [word.removeprefix("name=") for word in words if word.startswith("name=")]
    called = {name: given[-1] if given and name == TABLE else name for name in names}
    nodes = {name: f"sides.{_side(name, own, folder)}.{called[name]}" for name in names}
    chosen = [f"+release@{node}={name}" for name, node in nodes.items()]
    named = [f"{node}.name={called[name]}" for name, node in nodes.items() if name == TABLE]
    named += [] if given else [f"name={'_'.join(nodes)}"]
    roots = [f"{_only(nodes, 'root')}.root={match[2]}" for match in own if match[1] == "root"]
    return ["recipe=release", *chosen, *named, *roots, *[_meant(word, nodes) for word in words if not _WORD.fullmatch(word)]]


def _listed(value: str) -> list[str]:
    """Names of ``a``, ``a,b`` or ``[a,b]``."""
    return [name.strip() for name in value.strip().removeprefix("[").removesuffix("]").split(",")]


def _side(name: str, own: Sequence[re.Match[str]], folder: Path) -> str:
    told = [match[2] for match in own if match[1] == "side"]
    if told:
        if told[-1] not in DOMAINS:
            raise ConfigError(what=f"There is no side '{told[-1]}'", where="Key side", value=told[-1], allowed=DOMAINS)
        return told[-1]
    cards = folder / "catalog"
    known = name != TABLE and (cards / f"{name}.yaml").is_file()
    return GLOBAL if known and load_card(name, cards).region == "global" else LOCAL


def _meant(word: str, nodes: dict[str, str]) -> str:
    match = _KEY.fullmatch(word)
    return f"{match[1]}{_only(nodes, 'release.' + match[2].partition('=')[0])}.{match[2]}" if match else word


def _only(nodes: dict[str, str], key: str) -> str:
    if len(nodes) > 1:
        where = next(iter(nodes.values()))
        raise ConfigError(
            what=f"'{key}' is about one release, and {len(nodes)} are named",
            where="Command line",
            remedy=f"Write {where}.{key.removeprefix('release.')}= and so on",
        )
    return next(iter(nodes.values()))
