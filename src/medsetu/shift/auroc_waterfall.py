# SPDX-License-Identifier: Apache-2.0
"""The gap in AUROC in parts: measured case mix, image appearance, label policy, and what nothing explains.

Every coalition of changes is one weighted set of films: those of the side whose scoring rule is meant, tilted so that facts (within each
class) and appearance (both classes alike, beyond the facts) have the moments of the side they are taken from, labelled by the policy of
the side that is meant. A change of prevalence moves no part.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr

from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.evaluation.curve import auroc, curve
from medsetu.evaluation.delong import difference_from
from medsetu.evaluation.interval import NAN, Floats
from medsetu.evaluation.kernel import kernel_parts
from medsetu.manifest.consensus import policy_label
from medsetu.manifest.progress import progress
from medsetu.shift.casemix import BALANCED, by_class, side_auroc
from medsetu.shift.cohort import Cohort
from medsetu.shift.label_policy import policy_of
from medsetu.shift.measured import COMPONENTS_LOOKED_AT, Measured, Sides, appearance, beyond, case_mix, components_for, join, labelled
from medsetu.shift.overlap import NO_OVERLAP, overlap
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import NOT_IDENTIFIED, REFUSED
from medsetu.shift.waterfall import ORDERS, SIMULTANEOUS, Coalition, Part, Waterfall, known_parts, play
from medsetu.shift.weigh import class_moments, imbalance, resamples, seed_shares, tilt

SCALE = "AUROC"
CASE_MIX = "measured case mix"
APPEARANCE = "image appearance"
LABEL_POLICY = "label policy"
UNEXPLAINED = "unexplained"
PARTS = (CASE_MIX, APPEARANCE, LABEL_POLICY, UNEXPLAINED)
TIED = "the films of one class still differ where both classes together look alike: a change tied to the finding, or other labels"
POPULATION_TOO = "without age and sex, appearance holds the population as well: acquisition and population cannot be told apart"


@dataclass(frozen=True)
class _World:
    """Films of one side under one label policy."""

    label: Floats
    scores: Floats
    columns: Floats
    rows: Floats  # (n,) 1 where the label is known

    def drawn(self, weight: Floats) -> Floats:
        return weight * self.rows


@dataclass(frozen=True)
class _Game:
    """The worth of every coalition, for any number of resamples."""

    sides: Sides
    facts: Measured
    looks: Measured
    policies: tuple[str, str]

    @cached_property
    def players(self) -> tuple[str, ...]:
        has = {CASE_MIX: bool(self.facts), APPEARANCE: bool(self.looks), LABEL_POLICY: bool(self.policies[0])}
        return tuple(name for name in PARTS if has.get(name, True))

    @cached_property
    def worlds(self) -> tuple[tuple[_World, _World], tuple[_World, _World]]:
        """Worlds by side and policy."""
        made = [[_world(self, side, policy) for policy in (0, 1)] for side in (0, 1)]
        return (made[0][0], made[0][1]), (made[1][0], made[1][1])

    def plan_of(self, coalition: Coalition) -> tuple[int, int, int, int]:
        """Side of the films, of the facts, of the appearance, and of the policy."""
        base, facts, looks, policy = (int(name in coalition) for name in (UNEXPLAINED, CASE_MIX, APPEARANCE, LABEL_POLICY))
        return base, facts if self.facts else base, looks if self.looks else base, policy

    def weigh(self, coalition: Coalition, weight: tuple[Floats, Floats]) -> tuple[_World, Floats, Floats]:
        """World, its tilted weights, and the moments they should meet."""
        base, facts, looks, policy = self.plan_of(coalition)
        worlds = [self.worlds[side][policy] for side in (0, 1)]
        moments = [class_moments(one.columns, one.label, weight=one.drawn(part)) for one, part in zip(worlds, weight, strict=True)]
        cut = 2 * self.facts.global_values.shape[1]
        target = np.hstack([moments[facts][:, :cut], moments[looks][:, cut:]])
        world, drawn = worlds[base], worlds[base].drawn(weight[base])
        if facts == looks == base:
            return world, drawn, target
        return world, tilt(world.columns, world.label, weight=drawn, target=target), target

    def parts(self, weight: tuple[Floats, Floats]) -> Floats:
        """(J, K, B) parts of each seed."""

        def worth(coalition: Coalition) -> Floats:
            world, weighted, _ = self.weigh(coalition, weight)
            return np.stack([auroc(curve(world.label, score, weight=weighted)) for score in world.scores])

        return play(self.players, worth)

    def tied(self, weight: tuple[Floats, Floats]) -> Floats:
        """(B, 2 p) mean appearance in each class: global films at the local facts and appearance, minus local films."""
        world, weighted, _ = self.weigh(frozenset({CASE_MIX, APPEARANCE}), weight)
        here = self.worlds[1][0]
        looks = [one.columns[:, 2 * self.facts.global_values.shape[1] :] for one in (world, here)]
        first, second = (
            2 * class_moments(by_class(values, one.label), one.label, weight=drawn)
            for values, one, drawn in zip(looks, (world, here), (weighted, here.drawn(weight[1])), strict=True)
        )
        return first - second

    def unmet(self, weight: tuple[Floats, Floats]) -> float:
        """Largest distance, in standard deviations, that the weights of any coalition leave."""
        worst = 0.0
        for facts in (False, True):
            for looks in (False, True):
                for base in (False, True):
                    names = {CASE_MIX: facts, APPEARANCE: looks, UNEXPLAINED: base}
                    world, weighted, target = self.weigh(frozenset(name for name, on in names.items() if on), weight)
                    worst = max(worst, 2 * imbalance(world.columns, world.label, weight=weighted, target=target))
        return worst


def auroc_waterfall(cohort: Cohort, plan: ShiftPlan) -> Waterfall:
    """Take the gap in AUROC apart.

    Args:
        cohort: Films of both sides.
        plan: Limits, level, resamples and seed.

    Returns:
        The waterfall; a part without measured facts is not identified (and lies in the unexplained one), and without overlap no part is
        given, only the gap.
    """
    sides, reason = labelled(cohort, plan)
    if reason:
        return _refused(f"{REFUSED}: {reason}", reason)
    facts = case_mix(sides)
    looks = beyond(appearance(sides, components=components_for(sides)), facts, sides=sides)
    wide = join(facts, appearance(sides, components=COMPONENTS_LOOKED_AT))
    total, ends = _total(sides, plan)
    notes = []
    if wide:
        found = overlap(wide, sides, plan=plan, toward="both")
        notes.append(found.sentence)
        if found.refused:
            return _refused(NO_OVERLAP, found.sentence, total=total, ends=ends)
    game = _Game(sides, facts, looks, _policies(sides))
    ones = (np.ones((1, len(sides[0]))), np.ones((1, len(sides[1]))))
    left = game.unmet(ones)
    if left > BALANCED:
        why = f"weights cannot balance the sides: {left:.2f} standard deviations left, {BALANCED:g} allowed"
        return _refused(NO_OVERLAP, why, total=total, ends=ends)
    tied = _tied_to_class(game, plan) if looks else ""
    if tied:
        looks = Measured(looks.global_values[:, :0], looks.local_values[:, :0], ())
        game = _Game(sides, facts, looks, game.policies)
    value = game.parts(ones).mean(axis=1)[:, 0]
    replicate = _replicates(game, plan)
    known = known_parts(game.players, value, replicate=replicate, level=plan.level)
    parts = tuple(
        known.get(name, Part(name, verdict=NOT_IDENTIFIED, note=tied if tied and name == APPEARANCE else _why(name))) for name in PARTS
    )
    if looks and not {"age_years", "sex"} <= set(facts.names):
        notes.append(POPULATION_TOO)
    if facts:
        notes.append(f"measured case mix: {', '.join(facts.names)}")
    return Waterfall(SCALE, parts, total, *ends, (ORDERS, SIMULTANEOUS, *notes), replicate, replicate.sum(axis=0))


def _tied_to_class(game: _Game, plan: ShiftPlan) -> str:
    """Whether the films of one class still differ where both classes together look alike: weights of both alike cannot undo that."""
    if plan.bootstrap < 2:
        return ""
    ones = (np.ones((1, len(game.sides[0]))), np.ones((1, len(game.sides[1]))))
    drawn = np.concatenate([game.tied(weight) for weight in resamples(game.sides, plan)])
    spread = drawn.std(axis=0, ddof=1)
    moved = spread > 0
    if not moved.any():
        return ""
    furthest = float(np.abs(game.tied(ones)[0][moved] / spread[moved]).max())
    p = min(1.0, 2 * int(moved.sum()) * float(ndtr(-furthest)))
    return f"{TIED} (p {p:.3f}, Bonferroni)" if p <= plan.alpha else ""


def _world(game: _Game, side: int, policy: int) -> _World:
    films = game.sides[side]
    own = side == policy or game.policies[0] == game.policies[1]
    label = films.label if own or films.votes is None else policy_label(films.votes, game.policies[policy])
    known = ~np.isnan(label)
    label = np.where(known, label, 0.0)
    facts, looks = ((part.global_values, part.local_values)[side] for part in (game.facts, game.looks))
    return _World(label, films.scores, np.hstack([by_class(facts, label), looks]), known.astype(np.float64))


def _policies(sides: Sides) -> tuple[str, str]:
    """Label policy of each side; empty where one is not known, or another policy leaves a class without films."""
    found = [policy_of(films)[0] for films in sides]
    if not all(found):
        return "", ""
    for films, other in zip(sides, found[::-1], strict=True):
        label = policy_label(films.votes, other) if films.votes is not None else films.label
        if min(int((label == truth).sum()) for truth in (0.0, 1.0)) < 2:
            return "", ""
    return found[0], found[1]


def _replicates(game: _Game, plan: ShiftPlan) -> Floats:
    """(J, B) parts under resampled patients and seeds."""
    blocks = [np.zeros((len(game.players), game.sides[0].seed.size, 0))]
    with progress(plan.bootstrap, label="Waterfall of the AUROC") as advance:
        for weight in resamples(game.sides, plan):
            blocks.append(game.parts(weight))
            advance(weight[0].shape[0])
    drawn = np.concatenate(blocks, axis=2)
    return np.asarray((drawn * seed_shares(drawn.shape[1], replicates=drawn.shape[2], seed=plan.seed).T).sum(axis=1))


def _total(sides: Sides, plan: ShiftPlan) -> tuple[Part, tuple[float, float]]:
    first, second = (kernel_parts(films.label, films.scores, cluster=films.cluster) for films in sides)
    found = difference_from(first, second, paired=False, seeds=(sides[0].seed, sides[1].seed), level=plan.level)
    start, end = (float(side_auroc(films).mean()) for films in sides)
    return Part("gap", start - end, found.low, found.high, note=f"{found.method}; {found.note}" if found.method else found.note), (
        start,
        end,
    )


def _refused(verdict: str, why: str, *, total: Part | None = None, ends: tuple[float, float] = (NAN, NAN)) -> Waterfall:
    parts = tuple(Part(name, verdict=verdict, note=why) for name in PARTS)
    return Waterfall(SCALE, parts, total or Part("gap", verdict=verdict, note=why), *ends, (why,))


def _why(name: str) -> str:
    return {
        CASE_MIX: "no age, sex or view is known on both sides",
        APPEARANCE: "no features are known on both sides",
        LABEL_POLICY: f"reader votes that explain the labels are not known on both sides ({GLOBAL} and {LOCAL})",
    }.get(name, "")
