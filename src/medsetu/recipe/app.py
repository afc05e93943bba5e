# SPDX-License-Identifier: Apache-2.0
"""Run a verb as a Hydra app, and say Hydra's complaints in our own three sentences."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException, SearchPathException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from medsetu.catalog.card import Card, load_card
from medsetu.core.errors import ConfigError, MedsetuError

Task = Callable[[dict[str, Any]], Any]


def run_verb(verb: str, words: Sequence[str], *, task: Task, folder: Path) -> None:
    """Compose the verb's configuration from the command line and run its task.

    Args:
        verb: Name of the verb and of its primary config.
        words: Overrides and Hydra flags.
        task: Receives the resolved configuration as plain data.
        folder: The shipped ``configs/``.

    Raises:
        ConfigError: A key, value, recipe or override is wrong.
        MedsetuError: Whatever the verb refuses.
    """
    at_work = False
    refused: list[MedsetuError] = []

    def job(config: DictConfig) -> Any:  # noqa: ANN401 - whatever the verb returns
        nonlocal at_work
        try:
            resolved = plain(config)
            at_work = True
            answer = task(resolved)
        except MedsetuError as error:
            if HydraConfig.get().mode != RunMode.RUN:
                raise
            refused.append(error)  # raised below: Hydra would print the whole command line before our three sentences
            return None
        at_work = False
        return answer

    with _as_program(verb, words):
        try:
            hydra.main(config_path=str(folder), config_name=verb, version_base="1.3")(job)()
            if refused:
                raise refused[0]
        except MedsetuError:
            raise
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            if at_work:  # a fault of the verb, not of the command line
                raise
            raise explain(error, verb=verb, folder=folder, words=words) from error


def plain(config: DictConfig) -> dict[str, Any]:
    """Resolve a composed configuration into plain dicts, lists and scalars.

    Raises:
        ConfigError: A mandatory value (``???``) is missing, or an interpolation leads nowhere.
    """
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = str(error.full_key or "")
        raise ConfigError(
            what=f"The value of '{key}' {'is missing' if isinstance(error, MissingMandatoryValue) else 'cannot be resolved'}",
            where=f"Configuration key {key}",
            remedy=f"Give it on the command line: {key}=<value>",
        ) from error
    return dict(resolved)  # type: ignore[arg-type]  # a job config is a mapping


@contextmanager
def _as_program(verb: str, words: Sequence[str]) -> Iterator[None]:
    """Let Hydra see ``medsetu <words>``, and let errors come back as exceptions instead of printed traces."""
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["medsetu", *words]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        HydraConfig.instance().cfg = None  # or the next verb of this process would read the words of this one
        sys.argv = argv
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full


def explain(error: Exception, *, verb: str, folder: Path, words: Sequence[str] = ()) -> MedsetuError:
    """Turn a complaint of Hydra or OmegaConf into a ConfigError that offers the nearest name.

    Args:
        error: What Hydra raised.
        verb: The verb, whose keys are the allowed ones.
        folder: The shipped ``configs/``.
        words: Words of the command line; the recipe among them decides which keys there are.

    Returns:
        The error to raise; a MedsetuError found in the chain of causes comes back unchanged.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MedsetuError):
            return cause
        cause = cause.__cause__
    text = str(error)
    if isinstance(error, MissingConfigException):
        return _unknown_option(text, error.options or [], cards=folder / "catalog")
    if isinstance(error, SearchPathException):
        return ConfigError(what="The folder given with --config-dir does not exist", where="Command line", remedy="Correct the path")
    if isinstance(error, OverrideParseException):
        return ConfigError(
            what=f"The word '{error.override}' cannot be read",
            where="Command line",
            remedy="Write key=value, and quote a value with brackets, commas or spaces: 'key=[a, b]'",
        )
    match = re.search(r"Key '([^']+)' is not in struct\s+full_key: (\S+)", f"{text} {error.__cause__}".replace("\n", " "))
    if match or isinstance(error, ConfigCompositionException):
        full = match.group(2) if match else _quoted(text)
        return _unknown_key(full, keys=_keys(verb, folder, full, words), detail=text.splitlines()[0])
    return ConfigError(
        what=text.splitlines()[0] if text else type(error).__name__, where="Command line or configuration", remedy="Correct the override"
    )


def _unknown_option(text: str, options: Sequence[str], *, cards: Path) -> ConfigError:
    found = re.search(r"Could not find '([^']+)'", text) or re.search(r"Cannot find primary config '([^']+)'", text)
    name = found.group(1) if found else "?"
    group, _, value = name.rpartition("/")
    if group == "release" and (cards / f"{value}.yaml").is_file():
        return _unread_release(load_card(value, cards))
    where = f"Config group '{group}'" if group else "Configuration"
    return ConfigError(what=f"There is no '{value}'", where=where, value=value, allowed=sorted(options))


def _unread_release(card: Card) -> ConfigError:
    """A name that the catalogue knows and no adapter reads: a release of which there is only a card, or no release at all."""
    near = f". Look at {', '.join(card.see)}" if card.see else ""
    return ConfigError(
        what=f"The catalogue knows '{card.name}', but no adapter reads it{f': {card.tombstone}' if card.tombstone else ''}",
        where=f"medsetu catalog show {card.name}",
        remedy=f"Choose another release{near}" if card.tombstone else "Describe its folder as release=table (docs/own_data.md)",
    )


def _unknown_key(full: str, *, keys: Sequence[str], detail: str) -> ConfigError:
    parent, _, leaf = full.rpartition(".")
    if not keys:
        remedy = f"Use `--cfg job` to see every key; where '{parent}' is an empty mapping, write + before it: '+{parent}={{...}}'"
        return ConfigError(what=detail, where=f"Key '{full}'", remedy=remedy if parent else "Use `--cfg job` to see every key")
    return ConfigError(
        what=f"There is no key '{full}'", where=f"Under '{parent}'" if parent else "At the top level", value=leaf, allowed=keys
    )


def _quoted(text: str) -> str:
    found = re.search(r"Could not override '([^']+)'", text)
    return found.group(1) if found else ""


def _keys(verb: str, folder: Path, full: str, words: Sequence[str]) -> list[str]:
    """Keys beside a misspelt one, in the configuration of the other words or at least of the chosen recipe; empty when neither composes."""
    parent = full.rpartition(".")[0]
    others = [word for word in words if "=" in word and not word.startswith("-") and word.lstrip("+~").split("=", 1)[0] != full]
    own = re.search(r"(?:^| )(?:--config-dir|-cd)[ =](\S+)", " ".join(words))
    search = [f"hydra.searchpath=['file://{Path(own.group(1)).resolve()}']"] if own else []
    for chosen in (others, [word for word in others if word.startswith("recipe=")]):
        with hydra.initialize_config_dir(str(folder), version_base="1.3"):
            try:
                config = hydra.compose(verb, [*chosen, *search])
                node = OmegaConf.select(config, parent) if parent else config
            except (HydraException, OmegaConfBaseException):
                continue
        if isinstance(node, DictConfig):
            groups = [] if parent or "arms" not in node else ["recipe", *(["release", "root", "side"] if verb == "prepare" else [])]
            return sorted([*map(str, node.keys()), *groups])
    return []
