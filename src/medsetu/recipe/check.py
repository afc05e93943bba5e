# SPDX-License-Identifier: Apache-2.0
"""What is checked before the first batch: licences of the releases and of the weights, primary finding, films that were seen before."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from medsetu.catalog.card import Card, load_card, load_cards
from medsetu.catalog.licence import require
from medsetu.catalog.relation import catalogue_name, related_pairs
from medsetu.catalog.weights import WeightCard, seen_releases
from medsetu.core.errors import ConfigError, LeakageError
from medsetu.core.place import config_folder
from medsetu.manifest.plan import REFUSE
from medsetu.recipe.recipe import Recipe
from medsetu.release.harmonised import kind_of

_log = logging.getLogger(__name__)


def check_recipe(recipe: Recipe) -> list[Card]:
    """Refuse a recipe that cannot or may not run, before any training.

    Args:
        recipe: The recipe.

    Returns:
        The cards of its releases, for the report.

    Raises:
        LicenceError: A release, or the weights the backbone begins with, forbid the declared use.
        LeakageError: By the catalogue, releases on two sides share images, or the weights have seen one, and the recipe refuses that.
        ConfigError: The primary finding is not in the head that is tested.
    """
    cards = cards_of(recipe)
    require(cards, use=recipe.use, weights=weights_of(recipe))
    _tell_leakage(recipe)
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


def weights_of(recipe: Recipe) -> WeightCard | None:
    """Card of the weights that a recipe begins with; None where they are drawn at random, or where nothing is trained."""
    card: WeightCard | None = None if recipe.backbone is None else recipe.backbone.card()
    return card


def seen_before(recipe: Recipe) -> dict[str, str]:
    """Say which releases the weights that a recipe begins with may have seen, by their card and the catalogue.

    Args:
        recipe: The recipe.

    Returns:
        Release -> reason: names of the catalogue, and those of the recipe for the same films.
    """
    cards = load_cards()
    reasons = seen_releases(weights_of(recipe), cards)
    own = {name: catalogue_name(name, kind, cards) for name, kind in _kinds(recipe).items()}
    return reasons | {name: reasons[known] for name, known in own.items() if known in reasons and name not in reasons}


def _kinds(recipe: Recipe) -> dict[str, str]:
    return {release.name: kind_of(release) for releases in recipe.sides.values() for release in releases.values()}


def _tell_leakage(recipe: Recipe) -> None:
    """Tell, or refuse, what the catalogue knows before any film is opened."""
    side = {release.name: domain for domain, releases in recipe.sides.items() for release in releases.values()}
    cards, policy, seen = load_cards(), recipe.manifest.leakage, seen_before(recipe)
    names = {name: catalogue_name(name, kind, cards) for name, kind in _kinds(recipe).items()}
    found = [(policy.backbone, "backbone", f"{seen[name]}", ["pretraining", domain], name) for name, domain in side.items() if name in seen]
    for pair in related_pairs(names, cards):
        domains = [side[pair.release], side[pair.other]]
        if domains[0] != domains[1]:
            found.append((policy.catalogue, "catalogue", f"{pair}, says the catalogue", domains, pair.release))
    for rule, key, words, domains, name in found:
        if rule == REFUSE:
            raise LeakageError(
                rule=words[:1].upper() + words[1:],
                splits=domains,
                count=1,
                sample_ids=[name],
                remedy=f"Take other weights, leave the release out, or set manifest.leakage.{key}=tag",
            )
        _log.warning("Films of %s on the %s side may have been seen in training: %s", name, side[name], words)


def _card(name: str, kind: str) -> Card:
    folder = config_folder() / "catalog"
    if (folder / f"{name}.yaml").is_file():
        return load_card(name, folder)
    return replace(load_card(kind, folder), name=name)
