# SPDX-License-Identifier: Apache-2.0
"""The card of weights made here: from which data and which weights, under which terms, with which hash and which answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from medsetu.backbone.network import Network
from medsetu.backbone.spec import WeightSpec
from medsetu.catalog.clause import bound
from medsetu.catalog.licence import USES, joined, stated
from medsetu.catalog.weights import WeightCard, write_sidecar
from medsetu.core.place import code_revision
from medsetu.recipe.check import cards_of, seen_before
from medsetu.recipe.recipe import Recipe

_LEGEND = {"yes": "yes", "no": "no", "ask": "not clearly"}


def stage_card(recipe: Recipe, network: Network, *, name: str, facts: Mapping[str, Any]) -> WeightCard:
    """Describe the weights of a finished stage.

    The terms are those of all releases it learned from, joined with those of the weights it began with: ``yes`` only where all say so.

    Args:
        recipe: The recipe.
        network: The network of the stage, as loaded from its file.
        name: Stage and key.
        facts: What ``stage.json`` records.

    Returns:
        The card.
    """
    start, answers = recipe.backbone.card(), network.weights.permits
    own = [card for card in cards_of(recipe) if card.name in network.weights.trained_on]
    terms = "; ".join(f"{card.name}: {card.licence_note or card.licence or 'no licence text known'}" for card in own)
    begun = "weights drawn at random" if start is None else f"the weights {start.name} ({start.weights_licence or 'no licence text known'})"
    permitted = ", ".join(f"{USES[use]}: {_LEGEND[word]}" for use, word in answers.items())
    return WeightCard(
        name=name,
        title=f"Stage {name} of recipe {recipe.name}",
        library="medsetu",
        weights=name,
        backbone=None,
        architecture=str(getattr(recipe.backbone, "name", type(recipe.backbone).__name__)),
        parameters=sum(parameter.numel() for parameter in network.trunk.parameters()),
        size=network.spec.size,
        channels=network.spec.channels,
        mean=network.spec.mean,
        std=network.spec.std,
        intensity="as the data section of the recipe prepares it, in [0, 1]",
        place=None,
        filename=None,
        revision=code_revision() or None,
        sha256=str(facts["sha256"]),
        code_licence="Apache-2.0",
        weights_licence=network.weights.licence or None,
        data_terms=terms or None,
        licence_note=f"Begun with {begun}. {permitted[:1].upper()}{permitted[1:]}. {bound(network.weights.clauses)}",
        research_use=answers["research"],
        commercial_use=answers["commercial"],
        weights_release=answers["release_weights"],
        trained_on=network.weights.trained_on,
        training=f"{facts['kind']} on the {facts['side']} side, {facts['n_train']} images, "
        f"epoch {facts['best_epoch']} of {facts['epochs_run']} chosen by {facts['monitor']}",
        citation=None,
        homepage=None,
        checked_on=datetime.now(tz=UTC).date(),
        confidence="verified",
        fingerprint=facts["fingerprint"],
    )


def with_terms(recipe: Recipe, weights: WeightSpec, *, met: Sequence[str]) -> WeightSpec:
    """Add releases that weights are about to learn from, and what all terms together permit then.

    The licence of the weights they begin with stays only while it promises no more than the terms of the data allow: weights drawn at
    random that learn from data not for sale have no licence of their own.

    Args:
        recipe: The recipe; its backbone tells the weights it begins with.
        weights: What is known of the weights so far.
        met: Releases of the stage.

    Returns:
        The description with ``trained_on``, ``permits``, ``clauses`` and ``licence`` renewed.
    """
    start, seen = recipe.backbone.card(), tuple(dict.fromkeys([*weights.trained_on, *met]))
    own = [card for card in cards_of(recipe) if card.name in seen]
    permits = joined(own, start)
    modest = permits["commercial"] == "yes" or (start is not None and start.commercial_use != "yes")
    return replace(weights, trained_on=seen, permits=permits, clauses=stated(own, start), licence=weights.licence if modest else "")


def write_card(recipe: Recipe, network: Network, *, name: str, facts: Mapping[str, Any], weights: Path) -> Path:
    """Write the card of a finished stage beside its weights; see ``stage_card``."""
    return write_sidecar(stage_card(recipe, network, name=name, facts=facts), weights)


def mark_seen(rows: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Mark the films that the weights a recipe begins with may have seen in pretraining, release by release.

    Args:
        rows: Manifest rows with ``release`` and ``seen``.
        recipe: The recipe.

    Returns:
        The rows, ``seen`` with the reasons added; what the manifest says of single films stays.
    """
    before, reasons = rows["seen"].fillna("").astype(str), seen_before(recipe)
    why = rows["release"].map({name: reasons.get(str(name), "") for name in rows["release"].unique()}).astype(str)
    return rows.assign(seen=(before + "; ").where((before != "") & (why != ""), before) + why)
