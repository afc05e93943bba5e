# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference

from evaluation import oracle
from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.mcnemar import exact_sign_test, mcnemar


def decisions(table):
    """Two vectors of right and wrong from a 2 x 2 table; rows the first model, columns the second."""
    cells = np.repeat([(1, 1), (1, 0), (0, 1), (0, 0)], np.ravel(table), axis=0)
    return cells[:, 0], cells[:, 1]


@pytest.mark.parametrize(("method", "wanted"), [("corrected", oracle.MCNEMAR_CORRECTED), ("uncorrected", oracle.MCNEMAR_UNCORRECTED)])
def test_chi_square_of_the_table(method, wanted):
    found = mcnemar(*decisions(oracle.MCNEMAR_TABLE), method=method)
    assert (found.statistic, found.p) == (pytest.approx(wanted[0], abs=5e-7), pytest.approx(wanted[1], rel=1e-6))
    assert [found.both, found.first_only, found.second_only, found.neither] == np.ravel(oracle.MCNEMAR_TABLE).tolist()
    assert found.difference == pytest.approx(62 / 314)
    assert found.low < found.difference < found.high
    assert (found.n_patients, found.n_samples, found.note) == (314, 314, "grouped by image: no patient ids")


def test_exact_test_of_the_table():
    table, wanted = oracle.MCNEMAR_EXACT
    found = mcnemar(*decisions(table))  # 20 discordant samples: exact
    assert found.p == pytest.approx(wanted, abs=5e-11)
    assert found.method.startswith("exact")
    assert (found.statistic, found.first_only, found.second_only) == (-10, 5, 15)


@pytest.mark.parametrize("table", [[[10, 5], [15, 12]], [[3, 0], [6, 1]], [[40, 30], [9, 1]]])
def test_an_independent_reference_agrees(table):
    for exact, correction in ((True, False), (False, True), (False, False)):
        wanted = reference(table, exact=exact, correction=correction)
        found = mcnemar(*decisions(table), method="exact" if exact else "corrected" if correction else "uncorrected")
        assert found.p == pytest.approx(wanted.pvalue)


def test_newcombe_square_and_add_of_paired_shares():
    """Newcombe 1998 (17:2635), method 10; also Fagerland 2014, airway hyper-responsiveness."""
    found = mcnemar(*decisions([[1, 1], [7, 12]]))
    assert (found.low, found.high) == (pytest.approx(-0.507, abs=5e-4), pytest.approx(-0.026, abs=5e-4))


def test_one_film_per_patient_is_the_plain_test():
    first, second = decisions(oracle.MCNEMAR_TABLE)
    plain = mcnemar(first, second)
    named = mcnemar(first, second, cluster=[f"p{number}" for number in range(first.size)])
    assert (named.statistic, named.p, named.low, named.high) == (plain.statistic, plain.p, plain.low, plain.high)
    assert (plain.note, named.note) == ("grouped by image: no patient ids", "")


@pytest.mark.parametrize("method", ["exact", "uncorrected"])
def test_repeated_films_prove_nothing_more(method):
    first, second = decisions([[30, 18], [6, 6]])
    one = mcnemar(first, second, method=method)
    four = mcnemar(np.tile(first, 4), np.tile(second, 4), cluster=np.tile(np.arange(60), 4), method=method)
    by_film = mcnemar(np.tile(first, 4), np.tile(second, 4), method=method)
    assert by_film.p < 1e-4 < one.p
    share = 59 / 60 if method == "uncorrected" else 4  # Obuchowski divides by P - 1; four films move the sum by four
    assert four.statistic == pytest.approx(one.statistic * share)
    assert four.p == pytest.approx(one.p, rel=1e-9 if method == "exact" else 0.1)
    assert (four.n_patients, four.n_samples, four.first_only) == (60, 240, 72)
    assert four.high - four.low == pytest.approx(one.high - one.low, rel=0.1)


def test_exact_test_counts_all_signs():
    steps = np.array([3, 1, 2, -1, 2])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1)
    assert exact_sign_test(steps) == pytest.approx(np.mean(np.abs(steps @ signs) >= abs(steps.sum())))
    assert exact_sign_test([0, 0]) == 1.0


def test_false_alarms_and_coverage_with_repeated_films():
    rng = np.random.default_rng(5)
    alarms, held = [], []
    for _ in range(400):
        patient = np.repeat(np.arange(60), 1 + np.arange(60) % 4)
        own = rng.normal(size=(2, 60))[:, patient] + 0.6 * rng.normal(size=60)[patient]
        right = (own + rng.normal(size=own.shape) > -1.0).astype(float)
        found = mcnemar(right[0], right[1], cluster=patient)
        alarms.append(found.p <= 0.05)
        held.append(found.low <= 0 <= found.high)
    assert 0.02 <= np.mean(alarms) <= 0.085  # 5 % and three standard errors
    assert 0.915 <= np.mean(held) <= 0.98


def test_undefined_is_said():
    none = mcnemar([np.nan, 1], [1, np.nan])
    assert np.isnan([none.statistic, none.p, none.difference, none.low]).all()
    assert none.note == "no samples decided by both; grouped by image: no patient ids; 2 samples left out: not decided by both"
    same = mcnemar([1, 0, 1], [1, 0, 1], method="uncorrected")
    assert (same.p, same.difference) == (1.0, 0.0)
    assert np.isnan(same.statistic)
    assert same.note.startswith("the two never disagree")


def test_what_is_refused():
    with pytest.raises(ConfigError, match="corrected statistic is not defined"):
        mcnemar([1, 0], [0, 1], cluster=["a", "a"], method="corrected")
    with pytest.raises(ConfigError, match="unknown"):
        mcnemar([1, 0], [0, 1], method="exakt")
    with pytest.raises(DataError, match="neither right nor wrong"):
        mcnemar([0.7, 0], [0, 1])
    with pytest.raises(DataError, match="differ in length"):
        mcnemar([1, 0], [0, 1, 1])
