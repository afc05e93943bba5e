# SPDX-License-Identifier: Apache-2.0
"""What one training stage does: which side it learns from, how long, how fast, and how its weights are chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medsetu.adaptation.alignment import Alignment
from medsetu.core.errors import ConfigError
from medsetu.core.sample import DOMAINS
from medsetu.training.loss import CrossEntropy, Loss
from medsetu.training.mixing import Mixing
from medsetu.training.resizing import Resizing
from medsetu.training.selfsupervised import Pretext
from medsetu.tuning.distil import Distillation
from medsetu.tuning.frozen import Frozen
from medsetu.tuning.merge import Finish
from medsetu.tuning.strategy import Full, Strategy

MONITORS = {"loss": "min", "auroc": "max"}


@dataclass(frozen=True)
class StagePlan:
    """One step of a recipe (pretrain, finetune); the signature is the schema of ``configs/training``.

    Attributes:
        side: Domain whose training rows are used.
        findings: Findings of the head, by name.
        releases: Releases of that side to learn from; all of them when empty.
        select_on: Side whose validation rows choose the weights; ``side`` when None. Naming a side spends its labels.
        watch: Further sides whose validation rows are logged each epoch without choosing anything.
        tuning: What is allowed to move.
        epochs: Passes over the training rows.
        lr: Peak learning rate of the trunk.
        weight_decay: AdamW decay of weights (never of norms and biases).
        warmup: Share of all steps spent warming up, in [0, 1].
        batch_size: Images per step and device; an update sees ``batch_size * accumulate * trainer.devices`` of them.
        accumulate: Steps whose gradients are summed before one update.
        clip: Norm at which gradients are clipped; 0 switches clipping off.
        ema: Decay of the exponential moving average of the weights per update; 0 switches it off.
        swa: Share of the epochs, at the end, whose last weights are averaged equally; 0 switches it off. See ``medsetu.training.average``.
        patience: Epochs without improvement before stopping; 0 never stops early.
        monitor: ``loss`` or ``auroc`` of the selecting side.
        prevalence_limit: Bound b of the weight negatives / positives of a finding, which is kept in [1/b, b]; 1 means unweighted.
        pretext: Task without labels; the stage then has no findings, learns from every film of its side, and is chosen by its loss.
        loss: What is minimised; weighted binary cross-entropy by default.
        mix: Mixup and cutmix; None, the default, for neither.
        resize: Smaller training images in the first epochs; None, the default, for the full size throughout.
        alignment: Penalty on the difference of features to the unlabelled training images of another side; None, the default, for none.
        distil: How much the starting network teaches; None for not at all.
        auxiliary: Facts of the training films to learn beside the findings, each with the weight of its loss; see
            ``medsetu.training.auxiliary``. Their heads are dropped with the end of the stage, and choose no weights.
        finish: What becomes of the chosen weights, or how many trainings become one network; None to keep them as they are.
    """

    side: str
    findings: Sequence[str]
    releases: Sequence[str] = ()
    select_on: str | None = None
    watch: Sequence[str] = ()
    tuning: Strategy = field(default_factory=Full)
    epochs: int = 20
    lr: float = 3e-4
    weight_decay: float = 0.05
    warmup: float = 0.1
    batch_size: int = 32
    accumulate: int = 1
    clip: float = 1.0
    ema: float = 0.0
    swa: float = 0.0
    patience: int = 0
    monitor: str = "loss"
    prevalence_limit: float = 10.0
    loss: Loss = field(default_factory=CrossEntropy)
    mix: Mixing | None = None
    resize: Resizing | None = None
    alignment: Alignment | None = None
    pretext: Pretext | None = None
    distil: Distillation | None = None
    finish: Finish | None = None
    auxiliary: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse values outside their range, one rule per line."""
        rules = {
            "side": (self.side in DOMAINS, f"one of {', '.join(DOMAINS)}"),
            "select_on": (self.selecting_side in DOMAINS, f"one of {', '.join(DOMAINS)}"),
            "findings": (self._has_the_right_findings, "a list of different names, and empty for a pretext"),
            "epochs": (self.epochs >= 1, "at least 1"),
            "lr": (self.lr > 0, "above 0"),
            "weight_decay": (self.weight_decay >= 0, "at least 0"),
            "warmup": (0 <= self.warmup <= 1, "in [0, 1]"),
            "batch_size": (self.batch_size >= 2, "at least 2"),
            "accumulate": (self.accumulate >= 1, "at least 1"),
            "clip": (self.clip >= 0, "at least 0"),
            "ema": (0 <= self.ema < 1, "in [0, 1)"),
            "swa": (0 <= self.swa <= 1 and (self.swa == 0 or self.ema == 0), "in [0, 1], and 0 beside ema"),
            "patience": (self.patience >= 0, "at least 0"),
            "monitor": (self.monitor in MONITORS, f"one of {', '.join(MONITORS)}"),
            "prevalence_limit": (self.prevalence_limit >= 1, "at least 1"),
            "pretext": (
                self.pretext is None or (self.monitor == "loss" and not self._changed),
                "chosen by loss, without alignment, teacher, finish, solved head, mix, resize or groups",
            ),
            "mix": (self.mix is None or not self.loss.groups, "null with a loss over groups: a mixed film belongs to two"),
            "alignment": (self.alignment is None or self.alignment.side != self.side, "null, or name another side"),
            "distil": (self.distil is None or (self.alignment is None and self._trains), "null beside an alignment or a solved head"),
            "auxiliary": (
                not self.auxiliary or (min(self.auxiliary.values()) > 0 and not self._crowded and self._trains),
                "weights above 0, and empty beside pretext, alignment, distil, mix or a solved head",
            ),
            "finish": (self.finish is None or self._trains, "null where the head is solved from frozen features"),
        }
        for key, (holds, wanted) in rules.items():
            if not holds:
                raise ConfigError(
                    what=f"A stage cannot have {key}={getattr(self, key)}", where=f"stages.*.{key}", remedy=f"It must be {wanted}"
                )

    @property
    def _has_the_right_findings(self) -> bool:
        return len(set(self.findings)) == len(self.findings) and (len(self.findings) > 0) == (self.pretext is None)

    @property
    def _changed(self) -> bool:
        """Whether something is asked for that only labels, or pictures as they come, make sense of."""
        asked = (self.alignment, self.mix, self.resize, self.distil, self.finish)
        return any(part is not None for part in asked) or self.loss.groups != "" or not self._trains

    @property
    def _crowded(self) -> bool:
        """Whether another loss is asked for, or films that are mixed, whose facts would have to be."""
        return any(part is not None for part in (self.pretext, self.alignment, self.distil, self.mix))

    @property
    def _trains(self) -> bool:
        return not isinstance(self.tuning, Frozen)

    @property
    def selecting_side(self) -> str:
        """Side whose validation rows choose the weights."""
        return self.side if self.select_on is None else self.select_on

    @property
    def sides_watched(self) -> tuple[str, ...]:
        """Sides with a validation loader, the selecting one first."""
        return tuple(dict.fromkeys([self.selecting_side, *self.watch]))

    @property
    def monitor_key(self) -> str:
        """Log key that chooses the weights, for example ``val/local/loss``."""
        return f"val/{self.selecting_side}/{self.monitor}"
