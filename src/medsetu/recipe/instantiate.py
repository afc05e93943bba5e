# SPDX-License-Identifier: Apache-2.0
"""Build objects from YAML, and only objects whose real name is on a list held in code."""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate as hydra_instantiate

from medsetu.core.errors import ConfigError, MedsetuError

ALLOWED_TARGETS = (
    "medsetu.",
    "torch.nn.",
    "torch.optim.",
    "monai.transforms.",
    "monai.networks.",
    "monai.losses.",
    "torchmetrics.",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
    "wandb.Settings",
    "wandb.sdk.wandb_settings.Settings",
)
_HYDRA_KEYS = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}


def build(node: Any, *, where: str) -> Any:  # noqa: ANN401 - any object a recipe may name
    """Instantiate a node of a recipe after checking every ``_target_`` inside it.

    Args:
        node: Plain data with ``_target_`` keys, nested at will.
        where: Key of the node, for messages.

    Returns:
        The object; plain data comes back as plain data.

    Raises:
        ConfigError: A target is not allowed or does not exist, a key is not in its signature, a string would compute something.
        MedsetuError: The object itself refuses its arguments.
    """
    for key, value in _walk(node, where):
        if isinstance(value, Mapping) and "_target_" in value:
            _check_keys(value, resolve_target(str(value["_target_"]), where=key), where=key)
        elif isinstance(value, str) and (value.startswith("$") or "${" in value):
            raise ConfigError(
                what="A value starts with '$' or holds '${', but recipes never compute", where=f"Key {key}", remedy="Write the value itself"
            )
    try:
        return hydra_instantiate(node, _convert_="all")
    except (HydraException, TypeError, ValueError) as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MedsetuError):
                raise cause from None
            cause = cause.__cause__
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ConfigError(what=f"An object cannot be built: {reason}", where=f"Key {where}", remedy="Correct its values") from error


def resolve_target(name: str, *, where: str) -> Callable[..., Any]:
    """Find the object behind a ``_target_`` and refuse it unless its real name is allowed.

    Aliases are resolved first: ``medsetu.core.run.os.system`` is judged as what it really is.

    Args:
        name: Dotted name.
        where: Key, for messages.

    Returns:
        The class or function.

    Raises:
        ConfigError: The name is not allowed, or does not exist.
    """
    if not name.startswith(ALLOWED_TARGETS):
        raise ConfigError(
            what=f"The target '{name}' is not allowed", where=f"Key {where}", remedy="Only medsetu and its listed libraries may be named"
        )
    found = _locate(name, where=where)
    real = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if not callable(found) or not real.startswith(ALLOWED_TARGETS):
        raise ConfigError(
            what=f"The target '{name}' is really '{real}', which is not allowed", where=f"Key {where}", remedy="Name the object itself"
        )
    target: Callable[..., Any] = found
    return target


def _locate(name: str, *, where: str) -> Any:  # noqa: ANN401 - any importable object
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError as error:
            if error.name and not name.startswith(error.name):
                raise ConfigError(
                    what=f"The package '{error.name}' is not installed", where=f"Key {where}", remedy=f"Install it: it is needed by {name}"
                ) from error
            continue
        for index, part in enumerate(parts[cut:]):
            if not hasattr(found, part):
                raise ConfigError(
                    what=f"'{'.'.join(parts[: cut + index])}' has no '{part}'", where=f"Key {where}", value=part, allowed=_public(found)
                )
            found = getattr(found, part)
        return found
    raise ConfigError(what=f"The target '{name}' does not exist", where=f"Key {where}", remedy="Correct the name")


def _public(module: object) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_") and isinstance(vars(module)[name], type)]


def _check_keys(node: Mapping[str, Any], target: Callable[..., Any], *, where: str) -> None:
    parameters = inspect.signature(target).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for key in node:
        if key not in _HYDRA_KEYS and key not in parameters:
            raise ConfigError(
                what=f"There is no key '{key}'", where=f"Under {where} ({node['_target_']})", value=str(key), allowed=list(parameters)
            )


def _walk(node: Any, where: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - plain data
    yield where, node
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _walk(value, f"{where}.{key}")
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _walk(value, f"{where}[{index}]")
