# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from medsetu.evaluation.metric import auroc_value
from medsetu.search.flattery import flattery


def cohort(*, trials, films, seed, skill=1.0, unlike=0.0):
    """Trials of equal skill (or not), each with errors of its own on the same films."""
    rng = np.random.default_rng(seed)
    label = (np.arange(films) % 2).astype(float)[:, None]
    skills = skill + unlike * np.arange(trials)
    logits = [1.5 * value * (label - 0.5) * 2 + rng.normal(size=label.shape) for value in skills]
    return label, logits


def truth(monitor):
    """Value of one trial on very many films."""
    label, (logit,) = cohort(trials=1, films=200_000, seed=9)
    return auroc_value(label[:, 0], logit[:, 0]) if monitor == "auroc" else float((np.logaddexp(0, logit) - label * logit).mean())


@pytest.mark.parametrize("monitor", ["loss", "auroc"])
def test_it_tells_the_size_of_the_flattery_of_equal_trials(monitor):
    right, gained, told, bound = truth(monitor), [], [], []
    for seed in range(20):
        label, logits = cohort(trials=8, films=40, seed=seed)
        if monitor == "auroc":
            gained.append(max(auroc_value(label[:, 0], logit[:, 0]) for logit in logits) - right)
        else:
            gained.append(right - min(float((np.logaddexp(0, logit) - label * logit).mean()) for logit in logits))
        found = flattery(label, logits, patient=np.arange(40), monitor=monitor, resamples=200)
        told.append(found.optimism)
        bound.append(found.equal)
    assert np.mean(told) == pytest.approx(np.mean(gained), rel=0.3)
    assert np.mean(bound) >= np.mean(told)


@pytest.mark.parametrize("monitor", ["loss", "auroc"])
def test_one_that_is_far_better_is_hardly_flattered(monitor):
    label, logits = cohort(trials=3, films=60, seed=0, skill=0.0, unlike=1.0)
    found = flattery(label, logits, patient=np.arange(60), monitor=monitor, resamples=200)
    assert abs(found.optimism) < 0.3 * found.equal


def test_patients_are_drawn_whole_and_unknown_labels_left_out():
    label, logits = cohort(trials=4, films=40, seed=3)
    twice = flattery(
        np.vstack([label, label]), [np.vstack([one, one]) for one in logits], patient=[*range(40)] * 2, monitor="loss", resamples=50
    )
    once = flattery(label, logits, patient=range(40), monitor="loss", resamples=50)
    assert (twice.patients, twice.films) == (40, 80)
    assert twice.optimism == pytest.approx(once.optimism)
    unknown = np.vstack([label, np.full((9, 1), np.nan)])
    more = flattery(
        unknown, [np.vstack([one, np.zeros((9, 1))]) for one in logits], patient=[*range(40), *[0] * 9], monitor="loss", resamples=50
    )
    assert more.optimism == pytest.approx(once.optimism)


def test_why_there_is_no_number():
    label, logits = cohort(trials=2, films=10, seed=0)
    assert "one trial" in flattery(label, logits[:1], patient=range(10), monitor="loss", resamples=10).note
    assert "no resample" in flattery(label, logits, patient=range(10), monitor="loss", resamples=0).note
    assert "no resample" in flattery(label * 0, logits, patient=range(10), monitor="auroc", resamples=10).note
