# SPDX-License-Identifier: Apache-2.0
"""Composed configurations, as the verbs receive them."""

from collections.abc import Callable, Sequence
from typing import Any

import hydra
import pytest

from medsetu.core.place import config_folder
from medsetu.recipe.app import plain

Compose = Callable[..., dict[str, Any]]


@pytest.fixture
def compose(tmp_path) -> Compose:
    """Compose a verb with overrides; every folder of the run lies below ``tmp_path``."""

    def composed(verb: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
        places = [f"paths.data={tmp_path}/data", f"paths.runs={tmp_path}/runs"]
        with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
            return plain(hydra.compose(verb, [*overrides, *places]))

    return composed
