# SPDX-License-Identifier: Apache-2.0
"""The space of a search: keys of a recipe and the values they may take. What a search may not touch is refused here."""

import copy
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medsetu.core.errors import ConfigError

ROOTS = ("stages", "backbone", "data")
_RANGE, _CHOICES = ("low", "high", "log"), ("choices",)
_JUDGES = ("side", "findings", "releases", "select_on", "watch", "monitor")  # keys of a stage: by what, and on what, trials are judged
_TEST = ("manifest", "evaluation", "sides", "arms", "published")
_DIGITS = 4  # significant digits of a drawn number: more would only be harder to read


@dataclass(frozen=True)
class Knob:
    """One key and the values it may take.

    Attributes:
        key: Dotted key of the recipe.
        low: Smallest value of a range; NaN for choices.
        high: Largest value of a range; NaN for choices.
        log: Whether a range is searched on the logarithmic scale.
        whole: Whether a range holds whole numbers only.
        choices: The values, plain data; empty for a range.
    """

    key: str
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def tidy(self, value: Any) -> Any:  # noqa: ANN401 - a YAML value
        """Round a drawn number to four significant digits, inside the range; choices and whole numbers stay.

        Example:
            >>> Knob("lr", 1e-5, 1e-2, log=True).tidy(0.000123456)
            0.0001235
        """
        if self.choices or self.whole:
            return value
        return min(self.high, max(self.low, float(f"{value:.{_DIGITS}g}")))


def read_space(
    space: Mapping[str, Any], config: Mapping[str, Any], *, stages: Sequence[str], idle: Collection[str] = ()
) -> tuple[Knob, ...]:
    """Read the space of a search and refuse what would not be a search for a better way of training.

    A range is ``{low: ..., high: ..., log: true}``, whole numbers where the recipe has one; choices are a list or ``{choices: [...]}``.

    Args:
        space: As it stands in YAML, nested or dotted.
        config: Resolved configuration with the keys of the recipe.
        stages: Stages of the arm that is searched.
        idle: Keys of the data section that cannot change what is learned.

    Returns:
        The knobs, in alphabetical order of their keys.

    Raises:
        ConfigError: The space is empty; a key is unknown, is a seed, decides what is tested or how trials are judged, or changes nothing;
            a range or a list of choices is none.

    Example:
        >>> read_space({"stages.f.lr": {"low": 0.1, "high": 1}}, {"stages": {"f": {"lr": 0.5}}}, stages=["f"])[0].high
        1.0
    """
    found = dict(sorted(_leaves(space)))
    if not found:
        raise ConfigError(
            what="There is nothing to search",
            where="Key search.space",
            remedy="Name keys of the recipe, for example '+search.space.stages.finetune.lr={low:0.00001,high:0.01,log:true}'",
        )
    for key in found:
        _require_allowed(key, stages=stages, idle=idle)
    return tuple(_knob(key, node, _value(config, key)) for key, node in found.items())


def apply(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Set keys of a configuration.

    Args:
        config: Resolved configuration; stays as it is.
        values: Dotted key -> value; every key exists.

    Returns:
        A copy with the values.

    Example:
        >>> apply({"stages": {"f": {"lr": 1}}}, {"stages.f.lr": 2})
        {'stages': {'f': {'lr': 2}}}
    """
    changed = copy.deepcopy(dict(config))
    for key, value in values.items():
        *path, last = key.split(".")
        node = changed
        for part in path:
            node = node[part]
        node[last] = copy.deepcopy(value)
    return changed


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nest dotted keys.

    Example:
        >>> nested({"stages.f.lr": 2, "stages.f.epochs": 3, "data.fit": "pad"})
        {'stages': {'f': {'lr': 2, 'epochs': 3}}, 'data': {'fit': 'pad'}}
    """
    result: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = key.split(".")
        node = result
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return result


def _leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        key = f"{path}.{name}" if path else str(name)
        if isinstance(value, Mapping) and not set(value) & {*_RANGE, *_CHOICES}:
            yield from _leaves(value, key)
        else:
            yield key, value


def _require_allowed(key: str, *, stages: Sequence[str], idle: Collection[str]) -> None:
    root, *rest = key.split(".")
    where = f"search.space.{key}"
    if (rest or [root])[-1] in ("seed", "seeds", "split_seed"):
        raise ConfigError(what="The best of several seeds is luck, no way of training", where=where, remedy="Leave seeds out of the search")
    if root in _TEST:
        raise ConfigError(
            what=f"The section '{root}' decides who is tested and how, which may not follow from results",
            where=where,
            remedy=f"Search only keys of {', '.join(ROOTS)}",
        )
    if root not in ROOTS:
        raise ConfigError(what=f"The section '{root}' cannot be searched", where=where, value=root, allowed=ROOTS)
    if root == "stages" and rest and rest[0] not in stages:
        raise ConfigError(what=f"The arm has no stage '{rest[0]}'", where=where, value=rest[0], allowed=stages)
    if root == "stages" and len(rest) > 1 and rest[1] in _JUDGES:
        raise ConfigError(
            what=f"The key '{rest[1]}' decides on what trials are judged, so they could not be compared",
            where=where,
            remedy="Set it in the recipe",
        )
    if root == "data" and rest and rest[0] in idle:
        raise ConfigError(
            what=f"The key '{rest[0]}' cannot change what is learned", where=where, remedy="Set it for speed, outside the search"
        )


def _value(config: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - a YAML value
    """What the recipe has under a key."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            allowed = [str(name) for name in node] if isinstance(node, Mapping) else []
            raise ConfigError(what=f"The recipe has no key '{key}'", where=f"search.space.{key}", value=part, allowed=allowed)
        node = node[part]
    return node


def _knob(key: str, node: Any, now: Any) -> Knob:  # noqa: ANN401 - YAML values
    if isinstance(node, Mapping) and "choices" not in node:
        return _range(key, node, now)
    given = node["choices"] if isinstance(node, Mapping) else node
    if isinstance(node, Mapping):
        _require_known(key, node, _CHOICES)
    if not isinstance(given, list | tuple) or len({json.dumps(value) for value in given}) < max(2, len(given)):
        raise ConfigError(
            what="Choices are a list of at least two different values", where=f"search.space.{key}", remedy="For example [8, 16, 32]"
        )
    if any(isinstance(value, Mapping) for value in [now, *given]):
        raise ConfigError(
            what="A whole section cannot be one of several choices",
            where=f"search.space.{key}",
            remedy="Search its keys one by one, or compare ways of training as variants of an arm, which have a tournament",
        )
    return Knob(key, choices=tuple(given))


def _range(key: str, node: Mapping[str, Any], now: Any) -> Knob:  # noqa: ANN401 - a YAML value
    _require_known(key, node, _RANGE)
    low, high, log = node.get("low"), node.get("high"), node.get("log", False)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in (low, high))
    if not numbers or not low < high or not isinstance(log, bool) or (log and low <= 0):  # type: ignore[operator]  # numbers by then
        raise ConfigError(
            what="A range goes from low to a larger high, above 0 where log is true",
            where=f"search.space.{key}",
            remedy="For example {low: 0.00001, high: 0.01, log: true}",
        )
    if isinstance(now, bool) or not (now is None or isinstance(now, int | float)):
        raise ConfigError(
            what="A range is for a number, and the recipe has none here", where=f"search.space.{key}", remedy="Give a list of choices"
        )
    ends = isinstance(low, int) and isinstance(high, int)
    whole = ends and (now is None or isinstance(now, int))
    if isinstance(now, int) and not ends:
        raise ConfigError(
            what="The recipe has a whole number here", where=f"search.space.{key}", remedy="Give whole numbers as low and high"
        )
    return Knob(key, float(str(low)), float(str(high)), log=log, whole=whole)


def _require_known(key: str, node: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in node:
        if name not in known:
            raise ConfigError(what=f"There is no '{name}' in a space", where=f"search.space.{key}", value=str(name), allowed=known)
