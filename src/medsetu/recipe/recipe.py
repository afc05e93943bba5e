# SPDX-License-Identifier: Apache-2.0
"""A recipe as typed objects: sides, splits, data, backbone, stages, arms, evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsetu.catalog.licence import USES
from medsetu.core.arm import ARMS, GLOBAL_ONLY, LOCAL_ONLY, TRANSFER, base_arm
from medsetu.core.errors import ConfigError
from medsetu.core.inside import strays
from medsetu.core.sample import DOMAINS, GLOBAL, LOCAL
from medsetu.evaluation.published import Published, published_of
from medsetu.manifest.plan import SplitPlan
from medsetu.recipe.instantiate import build
from medsetu.release.harmonised import harmonise


@dataclass(frozen=True)
class Recipe:
    """What to do, resolved.

    Attributes:
        name: File name of the recipe.
        question: The one sentence it answers.
        use: Declared purpose, for the licence check.
        sides: Domain -> releases of that side, by name.
        manifest: SplitPlan.
        split_seed: Seed of the splits; the same for every seed of training, so that all runs are tested on the same films.
        data: DataPlan.
        backbone: Backbone with ``build(findings, seed=...)``.
        stages: Name -> StagePlan, in order.
        arms: Arm -> names of its stages, in order.
        evaluation: EvaluationPlan.
        trainer: TrainerOptions.
        logger: Plain configuration of the loggers, built once per stage.
        paths: Folders: data, work, runs.
        raw: The resolved configuration itself.
        published: Numbers of papers that answer the same question, shown beside ours.
    """

    name: str
    question: str
    use: str
    sides: Mapping[str, Mapping[str, Any]]
    manifest: Any
    split_seed: int
    data: Any
    backbone: Any
    stages: Mapping[str, Any]
    arms: Mapping[str, Sequence[str]]
    evaluation: Any
    trainer: Any
    logger: Mapping[str, Any]
    paths: Mapping[str, Path]
    raw: Mapping[str, Any]
    published: Sequence[Published] = ()

    def stages_of(self, arm: str) -> list[str]:
        """Names of the stages of an arm, in order.

        Raises:
            ConfigError: The recipe has no such arm.
        """
        if arm not in self.arms:
            raise ConfigError(what=f"The recipe has no arm '{arm}'", where="Key arm", value=arm, allowed=list(self.arms))
        return list(self.arms[arm])

    def uses_local(self, arm: str) -> bool:
        """Whether an arm learns from local labels."""
        return any(self.raw["stages"][name]["side"] == LOCAL for name in self.stages_of(arm))


def build_recipe(config: Mapping[str, Any]) -> Recipe:
    """Build the typed recipe from a resolved configuration.

    Args:
        config: Plain data as composed by a verb.

    Returns:
        The recipe.

    Raises:
        ConfigError: A key is missing or wrong, an arm names an unknown stage, a stage a side without releases.
    """
    raw = dict(config)
    if not raw["arms"]:
        raise ConfigError(
            what="The recipe has no arms, so there is nothing to train", where="Key arms", remedy="Name an arm and its stages"
        )
    manifest = build(raw["manifest"], where="manifest")
    recipe = Recipe(
        name=_plain(str(raw["name"]), where="Key name"),
        question=str(raw["question"]),
        use=str(raw["use"]),
        sides=_sides(raw, manifest),
        manifest=manifest,
        split_seed=int(raw["split_seed"]),
        data=build(raw["data"], where="data"),
        backbone=build(raw["backbone"], where="backbone"),
        stages={name: build(node, where=f"stages.{name}") for name, node in raw["stages"].items()},
        arms={arm: list(stages) for arm, stages in raw["arms"].items() if stages},
        evaluation=build(raw["evaluation"], where="evaluation"),
        trainer=build(raw["trainer"], where="trainer"),
        logger=dict(raw.get("logger") or {}),
        paths={name: Path(value).expanduser() for name, value in raw["paths"].items()},
        raw=raw,
        published=published_of(raw.get("published") or []),
    )
    _check_shape(recipe)
    return recipe


def read_recipe(config: Mapping[str, Any]) -> Recipe:
    """Build what evaluation needs of the recipe of a finished run: sides, splits, evaluation, paths. No torch; nothing of it can train.

    Args:
        config: Resolved configuration that a run or an outcome has saved, or of a recipe without arms, which is only prepared.

    Returns:
        The recipe; data, backbone and trainer are None, and there are no stages; without arms there is no evaluation either.

    Raises:
        ConfigError: A key is missing or wrong.
    """
    raw = dict(config)
    manifest = build(raw["manifest"], where="manifest")
    return Recipe(
        name=_plain(str(raw["name"]), where="Key name"),
        question=str(raw["question"]),
        use=str(raw["use"]),
        sides=_sides(raw, manifest),
        manifest=manifest,
        split_seed=int(raw["split_seed"]),
        data=None,
        backbone=None,
        stages={},
        arms={arm: list(stages) for arm, stages in raw["arms"].items() if stages},
        evaluation=build(raw["evaluation"], where="evaluation") if raw["arms"] else None,
        trainer=None,
        logger={},
        paths={name: Path(value).expanduser() for name, value in raw["paths"].items()},
        raw=raw,
        published=published_of(raw.get("published") or []),
    )


def _sides(raw: Mapping[str, Any], manifest: SplitPlan) -> dict[str, dict[str, Any]]:
    sides = {
        side: {name: build(node, where=f"sides.{side}.{name}") for name, node in (releases or {}).items()}
        for side, releases in raw["sides"].items()
    }
    for side, releases in sides.items():
        for name, release in releases.items():
            _plain(release.name, where=f"Key sides.{side}.{name}.name")
    return harmonise(sides, proxy=manifest.proxy) if manifest.names == "common" else sides


def _plain(name: str, *, where: str) -> str:
    """Refuse a name that would lead out of its folder, or cannot begin a sample id."""
    why = strays(name) or ("it holds a slash" if "/" in name else "")
    if why:
        raise ConfigError(
            what=f"A name names a folder and stands in tables, and this one is no plain word: {why}",
            where=where,
            remedy="Write letters, digits, - and _",
        )
    return name


def _check_shape(recipe: Recipe) -> None:
    if recipe.use not in USES:
        raise ConfigError(what=f"Unknown use '{recipe.use}'", where="Key use", value=recipe.use, allowed=list(USES))
    for side in recipe.sides:
        if side not in DOMAINS:
            raise ConfigError(what=f"There is no side '{side}'", where="Key sides", value=side, allowed=DOMAINS)
    _check_arms(recipe)
    for name, plan in recipe.stages.items():
        _check_stage(recipe, name, plan)


def _check_arms(recipe: Recipe) -> None:
    for arm, names in recipe.arms.items():
        if base_arm(arm) not in ARMS:
            raise ConfigError(what=f"There is no arm '{arm}'", where="Key arms", value=arm, allowed=ARMS)
        for name in names:
            if name not in recipe.stages:
                raise ConfigError(
                    what=f"Arm '{arm}' names a stage that does not exist", where=f"arms.{arm}", value=name, allowed=list(recipe.stages)
                )
        if not recipe.stages[names[-1]].findings:
            raise ConfigError(
                what=f"Arm '{arm}' ends with the stage '{names[-1]}', which has no findings, so there is nothing to test",
                where=f"arms.{arm}",
                remedy="Let a stage with findings follow",
            )

    _check_meaning(recipe)


def _check_meaning(recipe: Recipe) -> None:
    """Hold each arm and its variants to the arm's name: the contrasts of the transfer matrix mean nothing otherwise."""
    first = list(recipe.arms.get(GLOBAL_ONLY, []))
    for arm, names in recipe.arms.items():
        used = [{recipe.stages[name].side, recipe.stages[name].selecting_side} for name in names]
        holds, meaning = {
            GLOBAL_ONLY: (all(sides == {GLOBAL} for sides in used), "learns and selects on the global side only"),
            LOCAL_ONLY: (all(sides == {LOCAL} for sides in used), "learns and selects on the local side only"),
            TRANSFER: (
                list(names)[: len(first)] == first and all(sides == {LOCAL} for sides in used[len(first) :]),
                "begins with the stages of global-only and goes on with local ones",
            ),
        }[base_arm(arm)]
        if not holds:
            raise ConfigError(what=f"The stages of arm '{arm}' break its meaning", where=f"arms.{arm}", remedy=f"This arm {meaning}")


def _check_stage(recipe: Recipe, name: str, plan: Any) -> None:  # noqa: ANN401 - StagePlan lives above torch
    for side in plan.sides_watched:
        if not recipe.sides.get(side):
            raise ConfigError(
                what=f"Stage '{name}' needs the side '{side}', which has no release",
                where=f"stages.{name}",
                remedy=f"Add a release under sides.{side}",
            )
    names = [release.name for release in recipe.sides[plan.side].values()]
    for release in plan.releases:
        if release not in names:
            raise ConfigError(
                what=f"Stage '{name}' names a release that side '{plan.side}' does not have",
                where=f"stages.{name}.releases",
                value=release,
                allowed=names,
            )
    available = sorted({finding for release in recipe.sides[plan.side].values() for finding in release.findings})
    for finding in plan.findings:
        if finding not in available:
            raise ConfigError(
                what=f"Stage '{name}' has a finding that the releases of side '{plan.side}' do not label",
                where=f"stages.{name}.findings",
                value=finding,
                allowed=available,
            )
