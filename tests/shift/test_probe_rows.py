# SPDX-License-Identifier: Apache-2.0
"""A network that reads a planted marker is caught, one that reads the lungs is not; the noise of telling a film again is measured."""

import math

import numpy as np
import pandas as pd
import pytest

from fakes.marked import of_arrays, probed
from medsetu.core.errors import DataError
from medsetu.evaluation.decision import Rule
from medsetu.shift.occlusion import AS_IT_IS, LUNGS_ONLY, WITHOUT_BORDER, WITHOUT_LUNGS, WITHOUT_MARKERS
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.probe_rows import BLIND, LOST, RETEST_SUBJECT, USES, Probe, probe_of, rows, thresholds

PLAN = ShiftPlan(bootstrap=200)


def found(lines, measure, name, side="global"):
    (row,) = [row for row in lines if (row.measure, row.subject) == (measure, f"{side}: {name}")]
    return row


@pytest.fixture(scope="module")
def cheating():
    return rows(Probe(*probed(marked=0.95)), PLAN, threshold=0.5)


@pytest.fixture(scope="module")
def honest():
    return rows(Probe(*probed(marked=0.5)), PLAN, threshold=0.5)


def test_a_planted_marker_is_found(cheating):
    lost = found(cheating, LOST, WITHOUT_MARKERS)
    assert lost.low > 0.05
    assert lost.verdict == USES[WITHOUT_MARKERS]
    assert found(cheating, "auroc altered", WITHOUT_LUNGS).verdict == BLIND
    assert found(cheating, "flip rate", WITHOUT_MARKERS).value > 0.1
    assert found(cheating, LOST, WITHOUT_BORDER).verdict != USES[WITHOUT_BORDER]


def test_without_a_planted_marker_none_is_found(honest):
    assert found(honest, LOST, WITHOUT_MARKERS).low <= 0.01
    assert found(honest, LOST, WITHOUT_MARKERS).verdict != USES[WITHOUT_MARKERS]
    assert found(honest, LOST, WITHOUT_LUNGS).low > 0.05
    assert found(honest, "auroc altered", WITHOUT_LUNGS).verdict != BLIND
    assert found(honest, LOST, LUNGS_ONLY).verdict != USES[LUNGS_ONLY]


def test_more_marker_more_is_lost(honest, cheating):
    middle = rows(Probe(*probed(marked=0.75)), PLAN)
    values = [found(lines, LOST, WITHOUT_MARKERS).value for lines in (honest, middle, cheating)]
    assert values == sorted(values)
    assert values[2] - values[0] > 0.1


def test_seeds_are_averaged_by_row():
    films, altered = probed(marked=0.95, seeds=3, n=120)
    lost = found(rows(Probe(films, altered), PLAN), LOST, WITHOUT_MARKERS)
    assert lost.low > 0
    assert "3 seeds" in lost.method


def test_retest_sd_and_flips_are_those_of_the_scores():
    films = of_arrays(np.arange(40) % 2, np.full(40, 0.5))
    moved = np.where(np.arange(40) < 10, 0.4, 0.5)[None]
    lines = rows(Probe(films, {"8 bits": moved, "JPEG quality 95": films.scores}), PLAN, threshold=0.45)
    assert found(lines, "retest sd", RETEST_SUBJECT).value == pytest.approx(math.sqrt(0.25 * np.var([0.5, 0.4, 0.5], ddof=1)))
    flips = found(lines, "flip rate", RETEST_SUBJECT)
    assert flips.value == 0.25
    assert (flips.low, flips.high) == (pytest.approx(0.1419, abs=1e-4), pytest.approx(0.4019, abs=1e-4))  # Wilson of 10 in 40
    assert found(lines, "flip rate", "JPEG quality 95").value == 0
    assert found(lines, "mean absolute change", "8 bits").value == pytest.approx(0.025)


def test_identical_scores_lose_exactly_nothing():
    films = of_arrays(np.arange(60) % 2, np.linspace(0.1, 0.9, 60))
    lost = found(rows(Probe(films, {"8 bits": films.scores}), PLAN), LOST, "8 bits")
    assert (lost.value, lost.low, lost.high) == (0, 0, 0)


def test_patients_with_many_films_widen_the_flip_interval():
    moved = np.repeat(np.where(np.arange(20) < 5, 0.4, 0.5), 4)[None]
    label = np.repeat(np.arange(20) % 2, 4)
    flips = []
    for patient in (np.arange(80), np.repeat(np.arange(20), 4)):
        lines = rows(Probe(of_arrays(label, np.full(80, 0.5), patient=patient), {"8 bits": moved}), PLAN, threshold=0.45)
        flips.append(found(lines, "flip rate", "8 bits"))
    assert flips[1].high - flips[1].low > 1.5 * (flips[0].high - flips[0].low)


def test_no_threshold_no_flips():
    films = of_arrays(np.arange(40) % 2, np.linspace(0.1, 0.9, 40))
    assert found(rows(Probe(films, {"8 bits": films.scores}), PLAN), "flip rate", "8 bits").verdict == "not identified"
    one_class = of_arrays(np.zeros(20), np.linspace(0.1, 0.9, 20))
    cut = thresholds(one_class, rule=Rule("sensitivity", 0.9))
    assert np.isnan(cut).all()
    assert found(rows(Probe(films, {"8 bits": films.scores}), PLAN, threshold=cut), "flip rate", "8 bits").verdict == "not identified"


def test_unknown_labels_count_for_scores_and_not_for_auroc():
    films = of_arrays(np.full(40, np.nan), np.linspace(0.1, 0.9, 40))
    lines = rows(Probe(films, {"8 bits": films.scores}), PLAN, threshold=0.5)
    assert math.isnan(found(lines, LOST, "8 bits").value)
    assert found(lines, LOST, "8 bits").verdict == "cannot tell"
    assert found(lines, "flip rate", "8 bits").value == 0


def test_five_films_are_refused_with_the_number_it_takes():
    films = of_arrays([0, 1, 0, 1, 0], np.linspace(0.1, 0.9, 5))
    (line,) = rows(Probe(films, {"8 bits": films.scores}), PLAN)
    assert line.verdict == "refused: 5 patients, 10 are needed"


def long_table(films, altered):
    parts = {AS_IT_IS: films.scores, **altered}
    return pd.concat(
        pd.DataFrame({"sample_id": films.sample_id, "seed": seed, "finding": "tb", "alteration": name, "score": scores[row]})
        for name, scores in parts.items()
        for row, seed in enumerate(films.seed)
    ).sample(frac=1, random_state=0)


def test_a_shuffled_table_comes_back_in_order():
    films = of_arrays(np.arange(20) % 2, np.linspace(0.1, 0.9, 40).reshape(2, 20))
    altered = {"8 bits": films.scores[:, ::-1]}
    probe = probe_of(long_table(films, altered), films, finding="tb")
    np.testing.assert_allclose(probe.films.scores, films.scores)
    np.testing.assert_allclose(probe.altered["8 bits"], altered["8 bits"])


def test_films_that_were_not_probed_leave():
    films = of_arrays(np.arange(20) % 2, np.linspace(0.1, 0.9, 20))
    table = long_table(films, {"8 bits": films.scores})
    table = table[(table["alteration"] == AS_IT_IS) | (table["sample_id"] != films.sample_id[3])]
    assert films.sample_id[3] not in probe_of(table, films, finding="tb").films.sample_id
    with pytest.raises(DataError, match="No film"):
        probe_of(table, films, finding="effusion")
    with pytest.raises(DataError, match="outside"):
        probe_of(table.assign(score=2.0), films, finding="tb")
    with pytest.raises(DataError, match="'seed' is missing"):
        probe_of(table.drop(columns="seed"), films, finding="tb")
