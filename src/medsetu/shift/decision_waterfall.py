# SPDX-License-Identifier: Apache-2.0
"""The gap in log loss and in net benefit in parts: prevalence, calibration, threshold, discrimination.

A measure is what the best use of the scores reaches (discrimination), plus what their face value loses against it (calibration), plus what
the threshold in use loses against the face value (threshold); each is read on the films of either side at the prevalence of either side.
Under pure label shift only prevalence moves.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from medsetu.core.sample import GLOBAL
from medsetu.evaluation.bootstrap import patient_strata, patient_weights, percentile
from medsetu.evaluation.curve import curve
from medsetu.evaluation.decision import Rule, established_note, read_threshold
from medsetu.evaluation.interval import NAN, Floats
from medsetu.evaluation.metric import CLIP
from medsetu.evaluation.score import Ints
from medsetu.manifest.progress import progress
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.disde import film_losses
from medsetu.shift.measured import Sides, labelled
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import NOT_IDENTIFIED, REFUSED
from medsetu.shift.waterfall import ORDERS, SIMULTANEOUS, Coalition, Part, Waterfall, known_parts, play
from medsetu.shift.weigh import fit_logistic, resamples, seed_shares

LOG_LOSS = "log loss"
NET_BENEFIT = "net benefit"
PREVALENCE = "prevalence"
CALIBRATION = "calibration"
THRESHOLD = "threshold"
DISCRIMINATION = "discrimination"
PARTS = (PREVALENCE, CALIBRATION, THRESHOLD, DISCRIMINATION)
RULE = Rule("sensitivity", 0.9)
NO_VALIDATION = "no validation films of both classes on the global side: no transported threshold"
FROM_CALIBRATION = "calibration is a line on the logit of the score, fitted on each side's test films and refitted in every resample"


@dataclass(frozen=True)
class Cut:
    """A threshold in use and what it is for.

    Attributes:
        value: (K,) threshold on the score of each seed.
        replicate: (K, B) its resamples.
        odds: Threshold probability of the net benefit: what a false alarm costs against a missed case (Vickers and Elkin 2006).
        note: Where both come from.
    """

    value: Floats
    replicate: Floats
    odds: float
    note: str


@dataclass(frozen=True)
class _Scored:
    """One side's films of one seed under B weights, ready to be read at any prevalence."""

    label: Floats
    score: Floats
    evidence: Floats  # (B, n) log-likelihood ratio by the calibration line
    weight: Floats  # (B, n), each class summing to 1
    prevalence: Floats  # (B,)

    @classmethod
    def make(cls, films: Films, score: Floats, weight: Floats) -> "_Scored":
        logit = special.logit(np.clip(score, CLIP, 1 - CLIP))
        spread = float(logit.std()) or 1.0
        column = ((logit - logit.mean()) / spread)[:, None]
        positive, everyone = weight @ films.label, weight.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = weight * np.where(films.label == 1.0, 1 / positive[:, None], 1 / (everyone - positive)[:, None])
        usable = (positive > 0) & (positive < everyone)
        line = fit_logistic(column, films.label, weight=np.where(usable[:, None], apart, 1.0))
        evidence = line[:, :1] + line[:, 1:] * column.T
        return cls(films.label, score, evidence, np.where(usable[:, None], apart, NAN), positive / everyone)

    def at(self, prevalence: Floats) -> Floats:
        """(B, n) weights with that prevalence, summing to 1."""
        return np.asarray(self.weight * np.where(self.label == 1.0, prevalence[:, None], 1 - prevalence[:, None]))

    def chance(self, prevalence: Floats) -> Floats:
        """(B, n) calibrated probability at that prevalence."""
        return np.asarray(special.expit(self.evidence + special.logit(prevalence)[:, None]))

    def log_loss(self, prevalence: Floats, what: str) -> Floats:
        """(B,) minus the log loss of the best use, or what the face value adds to it."""
        weight = self.at(prevalence)
        inside = np.clip(self.chance(prevalence), CLIP, 1 - CLIP)
        best = np.einsum("bn,bn->b", weight, np.log(np.where(self.label == 1.0, inside, 1 - inside)))
        return np.asarray(
            best if what == DISCRIMINATION else -(weight @ film_losses(self.label, self.score[None], loss=LOG_LOSS)[0]) - best
        )

    def net_benefit(self, prevalence: Floats, what: str, *, cut: Floats, odds: float) -> Floats:
        """(B,) net benefit of the best use, or what face value or the threshold in use add to it."""
        worth = self.at(prevalence) * np.where(self.label == 1.0, 1.0, -odds / (1 - odds))
        best, face = self.chance(prevalence) >= odds, (self.score >= odds)[None]
        if what == DISCRIMINATION:
            return np.asarray((worth * best).sum(axis=1))
        if what == CALIBRATION:
            return np.asarray((worth * (face.astype(np.float64) - best)).sum(axis=1))
        return np.asarray((worth * ((self.score >= cut[:, None]).astype(np.float64) - face)).sum(axis=1))


def decision_waterfall(cohort: Cohort, plan: ShiftPlan, *, scale: str = NET_BENEFIT, cut: Cut | None = None) -> Waterfall:
    """Take the gap in log loss or in net benefit apart.

    Args:
        cohort: Films of both sides; the net benefit also needs global validation films, or a cut.
        plan: Level, resamples and seed.
        scale: ``net benefit`` or ``log loss``.
        cut: Threshold in use and threshold probability; None: 90 % sensitivity on the global validation films, as transported to local.

    Returns:
        The waterfall; positive is loss. Log loss reads no threshold, so that part is not identified there.
    """
    sides, reason = labelled(cohort, plan)
    if reason:
        return _refused(scale, f"{REFUSED}: {reason}", reason)
    chosen = cut or transported_cut(cohort.global_val, plan, seeds=sides[0].seed) if scale == NET_BENEFIT else None
    if scale == NET_BENEFIT and chosen is None:
        return _refused(scale, NOT_IDENTIFIED, NO_VALIDATION)
    players = PARTS if scale == NET_BENEFIT else tuple(name for name in PARTS if name != THRESHOLD)
    ones = (np.ones((1, len(sides[0]))), np.ones((1, len(sides[1]))))
    point = _parts(players, sides, weight=ones, cut=chosen, draws=None)
    value = point.mean(axis=1)[:, 0]
    replicate = _replicates(players, sides, cut=chosen, plan=plan)
    known = known_parts(players, value, replicate=replicate, level=plan.level)
    unread = Part(THRESHOLD, verdict=NOT_IDENTIFIED, note="the log loss reads no threshold")
    ends, remark = percentile(replicate.sum(axis=0), level=plan.level)
    total = Part("gap", float(value.sum()), *ends, note=f"patient bootstrap, percentile{'; ' + remark if remark else ''}")
    start, end = (_measure(films, scale, chosen) for films in sides)
    notes = (ORDERS, SIMULTANEOUS, FROM_CALIBRATION, *((chosen.note,) if chosen else ()))
    parts = tuple(known.get(name, unread) for name in PARTS)
    return Waterfall(scale, parts, total, start, end, notes, replicate, replicate.sum(axis=0))


def transported_cut(validation: Films | None, plan: ShiftPlan, *, seeds: Ints) -> Cut | None:
    """Threshold of 90 % sensitivity on the global validation films, resampled by patient.

    The threshold probability is the calibrated probability of a film at that threshold there: the price of a false alarm that whoever set
    the threshold has accepted.

    Args:
        validation: Global validation films.
        plan: Resamples and seed.
        seeds: (K,) training seeds wanted.

    Returns:
        The cut; None without validation films of both classes for every seed.
    """
    films = None if validation is None else validation.known()
    if films is None or np.unique(films.label).size < 2 or not np.isin(seeds, films.seed).all():
        return None
    rows = [films.scores[int(np.flatnonzero(films.seed == seed)[0])] for seed in seeds]
    strata = patient_strata(films.label, films.cluster)
    value = np.array([float(read_threshold(curve(films.label, row), rule=RULE)[0]) for row in rows])
    replicate = np.concatenate(
        [np.zeros((len(rows), 0))]
        + [
            np.array([read_threshold(curve(films.label, row, weight=drawn), rule=RULE) for row in rows])
            for drawn in patient_weights(films.cluster, replicates=plan.bootstrap, seed=plan.seed + 1, strata=strata)
        ],
        axis=1,
    )
    chances = []
    for row, threshold in zip(rows, value, strict=True):
        logit = special.logit(np.clip(np.r_[row, threshold], CLIP, 1 - CLIP))
        logit = (logit - logit.mean()) / (float(logit.std()) or 1.0)
        line = fit_logistic(logit[:-1, None], films.label, weight=np.ones((1, len(films))))[0]
        chances.append(float(special.expit(line[0] + line[1] * logit[-1])))
    odds = float(np.clip(np.mean(chances), 0.001, 0.999))
    note = f"threshold of {RULE.name} on val/{GLOBAL}, transported; threshold probability {odds:.3f} (calibrated chance at it)"
    few = established_note(int(films.label.sum()))
    return Cut(value, replicate, odds, f"{note}; {few}" if few else note)


def _parts(players: tuple[str, ...], sides: Sides, *, weight: tuple[Floats, Floats], cut: Cut | None, draws: slice | None) -> Floats:
    """(J, K, B) parts of each seed."""
    found = []
    for number in range(sides[0].seed.size):
        scored = [_Scored.make(films, films.scores[number], part) for films, part in zip(sides, weight, strict=True)]
        cuts = None if cut is None else (cut.value[number : number + 1] if draws is None else cut.replicate[number, draws])
        found.append(play(players, _Worth(players, scored, cut, cuts).of))
    return np.stack(found, axis=1)


@dataclass(frozen=True)
class _Worth:
    """Worth of a coalition: the sum of its terms, each on the films of its own side."""

    players: tuple[str, ...]
    scored: list[_Scored]
    cut: Cut | None
    cuts: Floats | None

    def of(self, coalition: Coalition) -> Floats:
        prevalence = self.scored[PREVALENCE in coalition].prevalence
        return np.asarray(np.sum([self.term(name, name in coalition, prevalence) for name in self.players if name != PREVALENCE], axis=0))

    def term(self, name: str, side: int, prevalence: Floats) -> Floats:
        films = self.scored[side]
        if self.cut is None or self.cuts is None:
            return films.log_loss(prevalence, name)
        return films.net_benefit(prevalence, name, cut=self.cuts, odds=self.cut.odds)


def _replicates(players: tuple[str, ...], sides: Sides, *, cut: Cut | None, plan: ShiftPlan) -> Floats:
    """(J, B) parts under resampled patients and seeds."""
    blocks = [np.zeros((len(players), sides[0].seed.size, 0))]
    done = 0
    with progress(plan.bootstrap, label="Waterfall of the decision") as advance:
        for weight in resamples(sides, plan, stratified=False):
            rows = weight[0].shape[0]
            blocks.append(_parts(players, sides, weight=weight, cut=cut, draws=slice(done, done + rows)))
            done += rows
            advance(rows)
    drawn = np.concatenate(blocks, axis=2)
    return np.asarray((drawn * seed_shares(drawn.shape[1], replicates=drawn.shape[2], seed=plan.seed).T).sum(axis=1))


def _measure(films: Films, scale: str, cut: Cut | None) -> float:
    """Log loss or net benefit of a side as it is, mean over seeds."""
    if cut is None:
        return float(film_losses(films.label, films.scores, loss=LOG_LOSS).mean())
    called = films.scores >= cut.value[:, None]
    return float((called * np.where(films.label == 1.0, 1.0, -cut.odds / (1 - cut.odds))).mean())


def _refused(scale: str, verdict: str, why: str) -> Waterfall:
    parts = tuple(Part(name, verdict=verdict, note=why) for name in PARTS)
    return Waterfall(scale, parts, Part("gap", verdict=verdict, note=why), NAN, NAN, (why,))
