# SPDX-License-Identifier: Apache-2.0
"""``medsetu seal``: freeze the analysis plan before the test is opened; and how a later look at the test stands to it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Console

from medsetu.core.errors import DataError
from medsetu.core.run import RunFolder
from medsetu.experiment.journal import journal
from medsetu.experiment.prepare import prepare_recipe
from medsetu.manifest.ledger import count_openings, ledger_path, read_openings, record_opening
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.check import check_recipe
from medsetu.recipe.plan import Primary, plan_of, primary_of
from medsetu.recipe.recipe import Recipe, build_recipe
from medsetu.recipe.sealed import Seal, describe, deviations, read_seal, seal_path, seal_plan

UNSEALED = "No plan was sealed before this test was opened."


@dataclass(frozen=True)
class Standing:
    """How a look at the test stands to its ledger and to the sealed plan.

    Attributes:
        openings: How often the internal test has been opened, this look included.
        sentences: What a report must say of the plan.
        deviations: Field, what was sealed, what is done now.
    """

    openings: int
    sentences: Sequence[str]
    deviations: Sequence[tuple[str, str, str]]


def main(config: Mapping[str, Any]) -> None:
    """Seal the plan of a recipe.

    Args:
        config: Resolved configuration of ``configs/seal.yaml``.

    Raises:
        ConfigError: The test was opened already and ``late`` is not set, another plan is sealed, or the contrast needs an arm that the
            recipe lacks.
        MedsetuError: Whatever the recipe or a release refuses.
    """
    recipe = build_recipe(config)
    primary = Primary(contrast=str(config["contrast"]), hypothesis=str(config["hypothesis"]), **config["expected"])
    path = seal_path(recipe.paths["runs"], recipe.name)
    with journal():
        check_recipe(recipe)
        prepared = prepare_recipe(recipe)
        plan = plan_of(recipe, prepared, seeds=[int(seed) for seed in config["seeds"]])
        plan |= primary_of(recipe, prepared, primary=primary)
        openings = len(read_openings(ledger_path(recipe.paths["work"], prepared.fingerprint)))
        sealed = seal_plan(path, plan, openings=openings, late=bool(config["late"]))
    console = Console()
    for sentence in [*describe(sealed), f"Sealed in {path}"]:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def require_sound(recipe: Recipe, prepared: Prepared) -> Seal | None:
    """Refuse a damaged seal or ledger before anything is trained.

    Args:
        recipe: The recipe.
        prepared: Its manifest.

    Returns:
        The seal; None where there is none.

    Raises:
        DataError: Seal or ledger is damaged, was changed, or the ledger has lost openings that the seal knows.
    """
    return _sealed(recipe, recipe.name, prepared.fingerprint)


def open_test(recipe: Recipe, prepared: Prepared, runs: Sequence[RunFolder], *, predictions: pd.DataFrame, verb: str) -> Standing:
    """Enter a look at the test into its ledger, before it is looked at, and compare what is done with the sealed plan.

    Args:
        recipe: The recipe as it is now.
        prepared: Manifest and splits as they are now.
        runs: The runs that are looked at, all of one recipe and manifest.
        predictions: Their whole predictions.
        verb: The verb that looks.

    Returns:
        Openings, sentences and deviations.

    Raises:
        DataError: As ``require_sound``.
    """
    facts = [json.loads(run.provenance.read_text()) for run in runs]
    name, fingerprint = str(facts[0]["recipe"]), str(facts[0]["manifest"])
    sealed = _sealed(recipe, name, fingerprint)
    path = ledger_path(recipe.paths["work"], fingerprint)
    openings = count_openings(record_opening(path, predictions, verb=verb, recipe=name, seal=sealed.sha256 if sealed else ""))
    if sealed is None:
        return Standing(openings, [UNSEALED], [])
    now = plan_of(recipe, prepared, seeds=sorted({int(fact["seed"]) for fact in facts}), arms=sorted({str(fact["arm"]) for fact in facts}))
    found = deviations(sealed.plan, now | {"recipe": name, "manifest": fingerprint})
    return Standing(openings, [*describe(sealed), _verdict(sealed, len(found))], found)


def _sealed(recipe: Recipe, name: str, fingerprint: str) -> Seal | None:
    sealed = read_seal(seal_path(recipe.paths["runs"], name))
    path = ledger_path(recipe.paths["work"], fingerprint)
    openings = read_openings(path)
    if sealed is not None and sealed.plan["manifest"] == fingerprint and len(openings) < sealed.openings:
        raise DataError(
            what=f"The ledger of test openings has lost entries: {len(openings)} of at least {sealed.openings} are left",
            where=str(path),
            remedy="Restore it from a copy",
        )
    return sealed


def _verdict(sealed: Seal, count: int) -> str:
    plan = f"the plan sealed on {sealed.date}, hash {sealed.sha256[:12]}"
    if not count:
        return f"Done under {plan}."
    return f"Done otherwise than {plan}, in {count} field{'s' if count > 1 else ''}; the table names each."
