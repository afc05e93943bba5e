# SPDX-License-Identifier: Apache-2.0
"""The trials of a search, in a journal that survives SIGKILL; Optuna proposes their values and gives up the hopeless ones.

The journal of Optuna holds trials that have ended, each written in one line. The trial that is going on is proposed anew from them after a
kill: its values are a function of the seed, its number and the trials before it, so a search that was killed ends as one that was not.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsetu.core.errors import missing_extra
from medsetu.core.run import content_key, write_json
from medsetu.search.plan import SearchPlan
from medsetu.search.space import Knob

if TYPE_CHECKING:
    import optuna

FINISHED, GIVEN_UP, FAILED = "finished", "given up", "failed"
JOURNAL, RUNNING = "journal.log", "running.json"
_NAME = "search"


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        number: Its place, from 0.
        state: ``finished``, ``given up`` or ``failed``.
        value: Monitored value of its best epoch; of the epochs it trained where it was given up; NaN where it failed.
        values: Dotted key -> value.
        curve: Zero-based epoch -> monitored value.
        facts: What else is known: stage keys, epochs, seconds, reason.
    """

    number: int
    state: str
    value: float
    values: Mapping[str, Any]
    curve: Mapping[int, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Trials:
    """All trials of one search.

    Args:
        folder: Folder of the search; one process at a time may use it.
        knobs: What is searched.
        plan: How.
        mode: ``min`` or ``max``: what is better.

    Raises:
        ResourceError: Optuna is not installed.
    """

    def __init__(self, folder: Path, knobs: Sequence[Knob], plan: SearchPlan, *, mode: str) -> None:
        self.folder, self.knobs, self.plan, self.mode = folder, tuple(knobs), plan, mode
        folder.mkdir(parents=True, exist_ok=True)
        with _optuna() as optuna:
            self._study = optuna.create_study(
                study_name=_NAME, storage=_journal(folder / JOURNAL), direction=self._direction, load_if_exists=True
            )

    @property
    def _direction(self) -> str:
        return {"min": "minimize", "max": "maximize"}[self.mode]

    def ended(self) -> list[Trial]:
        """Trials that have ended, in order."""
        return [self._read(one) for one in self._study.get_trials(deepcopy=False)]

    def best(self) -> Trial | None:
        """The finished trial with the best value, of equal ones the first; None when none has finished."""
        sign = -1 if self.mode == "max" else 1
        return min((one for one in self.ended() if one.state == FINISHED), key=lambda one: (sign * one.value, one.number), default=None)

    def propose(self) -> "Proposal":
        """Propose the next trial, or once more the one that a killed process had begun."""
        before = self._study.get_trials()
        with _optuna() as optuna:
            shadow = optuna.create_study(direction=self._direction, sampler=self._sampler(len(before)), pruner=self._pruner())
            shadow.add_trials(before)
            asked = shadow.ask({knob.key: _distribution(knob) for knob in self.knobs})
        values = {knob.key: knob.tidy(_plain(knob, asked.params[knob.key])) for knob in self.knobs}
        return Proposal(self.folder / RUNNING, number=len(before), values=values, study=shadow, asked=asked)

    def add(self, proposal: "Proposal", state: str, value: float, **facts: Any) -> None:  # noqa: ANN401 - plain data
        """Write down how a trial ended.

        Args:
            proposal: The trial.
            state: ``finished``, ``given up`` or ``failed``.
            value: Monitored value of a finished trial; NaN otherwise, as the curve tells the rest.
            facts: Plain data that is kept with it.
        """
        with _optuna() as optuna:
            states = {FINISHED: optuna.trial.TrialState.COMPLETE, GIVEN_UP: optuna.trial.TrialState.PRUNED}
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=states.get(state, optuna.trial.TrialState.FAIL),
                    value=value if state == FINISHED else None,
                    params={knob.key: _stored(knob, proposal.values[knob.key]) for knob in self.knobs},
                    distributions={knob.key: _distribution(knob) for knob in self.knobs},
                    user_attrs=facts,
                    system_attrs=proposal.notes,
                    intermediate_values={epoch + 1: told for epoch, told in proposal.curve.items()},
                )
            )
        (self.folder / RUNNING).unlink(missing_ok=True)

    def _read(self, one: "optuna.trial.FrozenTrial") -> Trial:
        state = {"COMPLETE": FINISHED, "PRUNED": GIVEN_UP}.get(one.state.name, FAILED)
        curve = {step - 1: told for step, told in sorted(one.intermediate_values.items())}
        best = (max if self.mode == "max" else min)(curve.values(), default=float("nan"))
        value = {FINISHED: one.value, GIVEN_UP: best}.get(state)
        values = {knob.key: _plain(knob, one.params[knob.key]) for knob in self.knobs}
        return Trial(one.number, state, float("nan") if value is None else float(value), values, curve, dict(one.user_attrs))

    def _sampler(self, number: int) -> "optuna.samplers.BaseSampler":
        import optuna

        seed = int(content_key(["search", self.plan.seed, number], length=8), 16)
        if self.plan.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.plan.startup)

    def _pruner(self) -> "optuna.pruners.BasePruner":
        import optuna

        if self.plan.pruner == "median":
            return optuna.pruners.MedianPruner(n_startup_trials=self.plan.startup, n_warmup_steps=self.plan.warmup)
        if self.plan.pruner == "halving":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=self.plan.warmup, reduction_factor=3)
        return optuna.pruners.NopPruner()


class Proposal:
    """A trial that is going on.

    Attributes:
        number: Its place, from 0.
        values: Dotted key -> value.
        curve: Zero-based epoch -> monitored value, those of a killed process included.
        hopeless: Whether it is to be given up.
    """

    def __init__(
        self, path: Path, *, number: int, values: Mapping[str, Any], study: "optuna.study.Study", asked: "optuna.trial.Trial"
    ) -> None:
        self.number, self.values = number, dict(values)
        self.curve: dict[int, float] = {}
        self.hopeless = False
        self._path, self._study, self._asked = path, study, asked
        for epoch, value in self._kept():
            self._tell(epoch, value)

    def judge(self, epoch: int, value: float) -> bool:
        """Hear the monitored value of an epoch and say whether the trial is to be given up.

        An epoch that was told before, by a process that was killed after it, is not told twice.

        Args:
            epoch: Zero-based epoch.
            value: Monitored value.

        Returns:
            Whether it is hopeless.
        """
        if epoch not in self.curve:
            write_json(self._path, {"number": self.number, "curve": [*self.curve.items(), (epoch, value)]})
            self._tell(epoch, value)
        return self.hopeless

    @property
    def notes(self) -> dict[str, Any]:
        """What the pruner has noted of the trial, for those that come after it."""
        return dict(self._study.get_trials(deepcopy=False)[-1].system_attrs)

    def _tell(self, epoch: int, value: float) -> None:
        with _optuna():
            self._asked.report(value, epoch + 1)  # a step is an epoch that was trained
            self.curve[epoch] = value
            self.hopeless = self.hopeless or self._asked.should_prune()

    def _kept(self) -> list[tuple[int, float]]:
        if not self._path.is_file():
            return []
        found = json.loads(self._path.read_text())
        return [(int(epoch), float(value)) for epoch, value in found["curve"]] if found["number"] == self.number else []


def _journal(path: Path) -> "optuna.storages.JournalStorage":
    """Open a journal, without the half line and the lock that a killed process may have left."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if path.is_file():
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            with path.open("r+b") as stream:
                stream.truncate(whole)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path))))


def _distribution(knob: Knob) -> "optuna.distributions.BaseDistribution":
    from optuna import distributions

    if knob.choices:
        return distributions.CategoricalDistribution([_stored(knob, choice) for choice in knob.choices])
    if knob.whole:
        return distributions.IntDistribution(int(knob.low), int(knob.high), log=knob.log)
    return distributions.FloatDistribution(knob.low, knob.high, log=knob.log)


def _stored(knob: Knob, value: Any) -> Any:  # noqa: ANN401 - a YAML value
    """Write choices as JSON: a journal holds text and numbers only, and 1 is not true there."""
    return json.dumps(value) if knob.choices else value


def _plain(knob: Knob, stored: Any) -> Any:  # noqa: ANN401 - a YAML value
    return json.loads(stored) if knob.choices else stored


@contextmanager
def _optuna() -> Iterator[Any]:
    """Import Optuna, and keep it from telling the terminal what it does.

    Raises:
        ResourceError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise missing_extra(package="optuna", extra="search", needed_for="medsetu search") from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)
