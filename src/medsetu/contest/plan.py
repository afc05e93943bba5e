# SPDX-License-Identifier: Apache-2.0
"""What a comparison of contestants fixes before it looks."""

from dataclasses import dataclass
from typing import Any

from medsetu.core.errors import ConfigError
from medsetu.core.sample import LOCAL
from medsetu.evaluation.decision import Rule
from medsetu.evaluation.plan import EvaluationPlan

FILMS = ("all", "shared")
KINDS = ("refitted", "transported")


@dataclass(frozen=True, kw_only=True)
class ContestPlan:
    """Settings of a comparison.

    Attributes:
        finding: The one finding that decides, by name.
        side: Side whose test films decide: ``global``, ``local`` or ``external: <site>``.
        reference: Contestant that the others are compared with; empty: the declared family is all pairs.
        margin: Equivalence margin in AUROC, above 0.
        smallest: Smallest difference of interest in AUROC, declared beforehand, above 0: for power and sample size.
        level: Confidence level in (0, 1); alpha is 1 - level.
        power: Power that a sample size is given for, in (0, 1).
        rule: How operating points are chosen on validation; None: no operating point.
        kind: Kind of threshold, one of ``KINDS``; empty: refitted where an arm may spend local labels, transported otherwise.
        films: ``all`` refuses contestants with different test films, ``shared`` compares on the films of all.
        bootstrap: Resamples of patients.
        seed: Seed of every draw.
        score_kind: What the scores are: raw, calibrated or rescaled.
    """

    finding: str
    side: str = LOCAL
    reference: str = ""
    margin: float = 0.05
    smallest: float = 0.05
    level: float = 0.95
    power: float = 0.8
    rule: Rule | None = None
    kind: str = ""
    films: str = "all"
    bootstrap: int = 2000
    seed: int = 0
    score_kind: str = "raw"

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for key in ("margin", "smallest", "level", "power"):
            if not 0 < getattr(self, key) < 1:
                raise ConfigError(
                    what=f"{getattr(self, key)} is out of range", where=f"Key {key}", remedy="Give a number above 0 and below 1"
                )
        for key, given, allowed in (("on", self.films, FILMS), ("threshold", self.kind, ("", *KINDS))):
            if given not in allowed:
                raise ConfigError(what=f"'{given}' is unknown", where=f"Key {key}", value=given, allowed=[name for name in allowed if name])
        if self.bootstrap < 0 or self.seed < 0:
            raise ConfigError(what="A negative number of resamples, or seed, is impossible", where="Key bootstrap", remedy="Give 0 or more")

    @property
    def alpha(self) -> float:
        """Size of each family of tests."""
        return 1 - self.level


def contest_plan(evaluation: EvaluationPlan, **changes: Any) -> ContestPlan:  # noqa: ANN401 - values of several types
    """Read the plan of a comparison off the plan of a recipe.

    Args:
        evaluation: What the recipe has fixed: primary finding, margin, level, first sensitivity target, resamples, seed.
        **changes: Fields of ``ContestPlan`` that were given otherwise; None is not given. The smallest difference of interest is the
            margin unless it is given.

    Returns:
        The plan.

    Example:
        >>> contest_plan(EvaluationPlan(primary="tuberculosis"), margin=0.03, reference=None).smallest
        0.03
    """
    targets = [Rule("sensitivity", target) for target in evaluation.sensitivity_targets]
    targets += [Rule("specificity", target) for target in evaluation.specificity_targets]
    fixed: dict[str, Any] = {
        "finding": evaluation.primary,
        "margin": evaluation.margin,
        "level": evaluation.level,
        "rule": targets[0] if targets else None,
        "bootstrap": evaluation.bootstrap,
        "seed": evaluation.seed,
        "score_kind": evaluation.score_kind,
    }
    fixed |= {name: value for name, value in changes.items() if value is not None}
    return ContestPlan(**{"smallest": fixed["margin"], **fixed})
