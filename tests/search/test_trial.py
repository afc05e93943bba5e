# SPDX-License-Identifier: Apache-2.0
"""A search over a function, without a network: what it proposes, what it gives up, and what a kill costs it."""

import builtins
import logging
import math
import os
import signal

import pytest

from medsetu.core.errors import ResourceError
from medsetu.search.plan import SearchPlan
from medsetu.search.space import Knob
from medsetu.search.trial import FAILED, FINISHED, GIVEN_UP, JOURNAL, Trials

KNOBS = (Knob("b.choice", choices=(1, True, "x", [1, 2])), Knob("a.lr", 1e-5, 1.0, log=True), Knob("c.size", 1, 9, whole=True))
PLAN = SearchPlan({}, trials=12, startup=3, warmup=1)


def trials(folder, plan=PLAN, mode="min", knobs=KNOBS):
    return Trials(folder, knobs, plan, mode=mode)


def loss(values, epoch):
    return abs(math.log10(values["a.lr"]) + 2) + 0.1 * values["c.size"] + 1 / (epoch + 1)


def run(folder, *, until=12, epochs=4, stop=None, plan=PLAN):
    """Search; ``stop`` is asked before each epoch and may end the process."""
    found = trials(folder, plan)
    for number in range(len(found.ended()), until):
        proposal = found.propose()
        curve = []
        for epoch in range(epochs):
            if stop is not None:
                stop(number, epoch)
            curve.append(loss(proposal.values, epoch))
            if proposal.judge(epoch, curve[-1]):
                found.add(proposal, GIVEN_UP, math.nan, epochs=epoch + 1)
                break
        else:
            found.add(proposal, FINISHED, min(curve), epochs=epochs)
    return found.ended()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"))


def test_values_come_from_the_space(whole):
    for one in whole:
        assert 1e-5 <= one.values["a.lr"] <= 1
        assert isinstance(one.values["c.size"], int)
        assert 1 <= one.values["c.size"] <= 9
        assert any(one.values["b.choice"] is choice or one.values["b.choice"] == choice for choice in KNOBS[0].choices)
    assert {type(one.values["b.choice"]) for one in whole} > {str}


def test_it_finds_what_is_better_and_gives_up_what_is_not(whole):
    assert [one.number for one in whole] == list(range(12))
    assert {one.state for one in whole} == {FINISHED, GIVEN_UP}
    assert all(one.state == FINISHED for one in whole[:3])
    best = min(one.value for one in whole)
    assert next(one for one in whole if one.value == best).state == FINISHED
    assert min(one.value for one in whole[3:]) <= min(one.value for one in whole[:3])
    for one in whole:
        assert one.value == pytest.approx(min(one.curve.values()))
        assert list(one.curve) == list(range(one.facts["epochs"]))


def test_the_seed_decides_everything(tmp_path, whole):
    assert run(tmp_path / "same") == whole
    other = run(tmp_path / "other", plan=SearchPlan({}, trials=12, startup=3, warmup=1, seed=1))
    assert [one.values for one in other] != [one.values for one in whole]


@pytest.mark.parametrize("place", [(0, 0), (2, 3), (5, 0), (9, 0)])
def test_a_killed_search_ends_as_one_that_was_not(tmp_path, whole, place):
    def stop(number, epoch):
        if (number, epoch) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            run(tmp_path, stop=stop)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert len(trials(tmp_path).ended()) == place[0]
    assert run(tmp_path) == whole


def test_a_line_that_was_cut_off_and_a_lock_that_was_left_do_no_harm(tmp_path, whole):
    run(tmp_path, until=5)
    journal = tmp_path / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-30])
    journal.with_name(f"{JOURNAL}.lock").touch()
    assert len(trials(tmp_path).ended()) == 4
    assert run(tmp_path) == whole


def test_a_trial_that_is_resumed_in_mid_epoch_may_tell_an_epoch_again(tmp_path):
    found = trials(tmp_path)
    first = found.propose()
    assert not first.judge(0, 1.0)
    again = trials(tmp_path).propose()
    assert again.curve == {0: 1.0}
    assert not again.judge(0, 1.0)
    assert again.values == first.values
    found.add(again, FINISHED, 1.0)
    assert trials(tmp_path).propose().curve == {}


@pytest.mark.parametrize("pruner", ["median", "halving"])
def test_what_was_heard_before_a_kill_is_hopeless_still(tmp_path, pruner):
    found = trials(tmp_path, SearchPlan({}, startup=1, warmup=1, pruner=pruner))
    for value in (0.1, 0.2, 0.3):
        proposal = found.propose()
        proposal.judge(0, value)
        found.add(proposal, FINISHED, value)
    proposal = found.propose()
    assert proposal.judge(0, 9.0)
    assert found.propose().hopeless


def test_a_failed_trial_counts_and_is_never_best(tmp_path):
    found = trials(tmp_path, mode="max")
    assert found.best() is None
    found.add(found.propose(), FAILED, math.nan, reason="no number")
    for value in (0.6, 0.8, 0.8):
        found.add(found.propose(), FINISHED, value)
    assert found.best().number == 2
    first = found.ended()[0]
    assert (first.state, first.facts["reason"], math.isnan(first.value)) == (FAILED, "no number", True)


def test_random_search_and_no_pruner(tmp_path):
    plan = SearchPlan({}, sampler="random", pruner="none", startup=1)
    assert {one.state for one in run(tmp_path, plan=plan)} == {FINISHED}


def test_optuna_is_quiet_and_its_level_is_given_back(tmp_path, capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    run(tmp_path, until=2)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
    assert logging.getLogger("optuna").level == before


def test_without_optuna_the_install_line_is_said(tmp_path, monkeypatch):
    real = builtins.__import__

    def absent(name, *more, **named):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ResourceError, match=r"pip install 'medsetu\[search\]'"):
        trials(tmp_path)
