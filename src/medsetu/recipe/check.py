# SPDX-License-Identifier: Apache-2.0
"""What is checked before the first batch: licences of the releases and of the weights, primary finding, test sides."""

from collections.abc import Sequence
from dataclasses import replace

from medsetu.catalog.card import Card, load_card
from medsetu.catalog.licence import require
from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder
from medsetu.recipe.recipe import Recipe
from medsetu.release.harmonised import kind_of


def check_recipe(recipe: Recipe) -> list[Card]:
    """Refuse a recipe that cannot or may not run, before any training.

    Args:
        recipe: The recipe.

    Returns:
        The cards of its releases, for the report.

    Raises:
        LicenceError: A release, or the weights the backbone begins with, forbid the declared use.
        ConfigError: The primary finding is not in the head that is tested.
    """
    cards = cards_of(recipe)
    require(cards, use=recipe.use, weights=None if recipe.backbone is None else recipe.backbone.card())
    for arm in recipe.arms:
        last = recipe.stages[recipe.stages_of(arm)[-1]]
        if recipe.evaluation.primary not in last.findings and len(recipe.arms) > 1:
            raise ConfigError(
                what=f"The primary finding is not in the head of arm '{arm}'",
                where="Key evaluation.primary",
                value=recipe.evaluation.primary,
                allowed=list(last.findings),
            )
    return cards


def cards_of(recipe: Recipe, *, sides: Sequence[str] | None = None) -> list[Card]:
    """Load the catalogue card of each release of a recipe.

    A release without a card under its own name (your own table) has the terms of its kind: the card that bears
    the name of its adapter, shown under the release's own name.

    Args:
        recipe: The recipe.
        sides: Sides to read; all when None.

    Returns:
        Cards in the order of the recipe, each once.
    """
    found = [release for side, releases in recipe.sides.items() if sides is None or side in sides for release in releases.values()]
    kinds = {release.name: kind_of(release) for release in found}
    return [_card(name, kind) for name, kind in kinds.items()]


def _card(name: str, kind: str) -> Card:
    folder = config_folder() / "catalog"
    if (folder / f"{name}.yaml").is_file():
        return load_card(name, folder)
    return replace(load_card(kind, folder), name=name)
