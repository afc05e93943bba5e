# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats import inter_rater

from evaluation import oracle
from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, table_kappa


def pairs(table):
    """Readings of two readers from their table."""
    rows, columns = np.indices(np.shape(table))
    counts = np.ravel(table)
    return np.repeat(rows.ravel(), counts), np.repeat(columns.ravel(), counts)


def krippendorff(rows):
    return np.array([[np.nan if mark == "*" else float(mark) for mark in row] for row in rows]).T


def test_kappa_of_sas():
    found, wanted = table_kappa(oracle.SAS_3x3), oracle.SAS_KAPPA
    assert [found.value, found.error, found.error_null] == pytest.approx([wanted["kappa"], wanted["ase"], wanted["ase_h0"]], abs=5e-5)
    assert found.value / found.error_null == pytest.approx(wanted["z"], abs=5e-5)
    assert 2 * norm.sf(found.value / found.error_null) == pytest.approx(wanted["p"], abs=5e-5)
    whole = cohen_kappa(*pairs(oracle.SAS_3x3))
    assert [whole.low, whole.high] == pytest.approx(wanted["ci"], abs=5e-5)
    assert (whole.n_patients, whole.n_samples, whole.n_readers) == (19, 19, 2)


def test_linear_kappa_of_sas():
    found, wanted = cohen_kappa(*pairs(oracle.SAS_3x3), weights="linear"), oracle.SAS_KAPPA_LINEAR
    assert [found.value, found.low, found.high] == pytest.approx([wanted["kappa"], *wanted["ci"]], abs=5e-5)
    assert table_kappa(oracle.SAS_3x3, weights="linear").error == pytest.approx(wanted["ase"], abs=5e-5)


def test_two_by_two():
    assert table_kappa(oracle.COHEN_2x2).value == pytest.approx(oracle.COHEN_2x2_KAPPA)


@pytest.mark.parametrize(("weights", "wanted"), oracle.ANXIETY_23_KAPPA.items())
def test_weighted_kappas_of_the_anxiety_ratings(weights, wanted):
    assert cohen_kappa(*pairs(oracle.ANXIETY_23), weights=weights).value == pytest.approx(wanted, abs=5e-8)


@pytest.mark.parametrize("weights", ["unweighted", "linear", "quadratic"])
def test_an_independent_reference_agrees(weights):
    table = np.random.default_rng(3).integers(1, 9, (4, 4))
    name = {"unweighted": None, "linear": "linear", "quadratic": "quadratic"}[weights]
    wanted, found = inter_rater.cohens_kappa(table, wt=name), table_kappa(table, weights=weights)
    assert [found.value, found.error, found.error_null] == pytest.approx([wanted.kappa, wanted.std_kappa, wanted.std_kappa0])


def test_fleiss():
    assert fleiss_kappa(oracle.readings(oracle.FLEISS_WIKI)).value == pytest.approx(oracle.FLEISS_WIKI_KAPPA, abs=1e-15)
    found = fleiss_kappa(oracle.readings(oracle.FLEISS_1971))
    assert found.value == pytest.approx(oracle.FLEISS_1971_KAPPA, abs=5e-9)
    assert found.low < found.value < found.high
    assert (found.n_samples, found.n_readers) == (30, 6)


@pytest.mark.parametrize(("counts", "fleiss", "randolph"), oracle.FLEISS_RANDOLPH)
def test_fleiss_and_randolph(counts, fleiss, randolph):
    votes = oracle.readings(counts)
    assert fleiss_kappa(votes).value == pytest.approx(fleiss, abs=5e-7)
    found = fleiss_kappa(votes, free=len(counts[0]))
    assert found.value == pytest.approx(randolph, abs=5e-7)
    assert found.value == pytest.approx(inter_rater.fleiss_kappa(np.array(counts), method="randolph"))


@pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval", "ratio"])
def test_alpha_with_missing_readings(scale):
    first = krippendorff_alpha(krippendorff(oracle.KRIPP_A), scale=scale)
    assert first.value == pytest.approx(oracle.KRIPP_A_ALPHA[scale], abs=5e-7)
    second = krippendorff_alpha(krippendorff(oracle.KRIPP_B), scale=scale)
    assert second.value == pytest.approx(oracle.KRIPP_B_ALPHA[scale], abs=5e-15)
    assert second.low < second.value < second.high
    assert (second.n_samples, second.n_readers) == (11, 4)  # the twelfth has one reading
    assert "1 samples left out: fewer than 2 readings" in second.note


def reads(rng, patients, *, each=1, readers=3, accuracy=0.85):
    """Readings of readers that see a patient's truth with equal accuracy; films of a patient are read alike."""
    truth = rng.random(patients) < 0.5
    seen = np.where(rng.random((patients, readers)) < accuracy, truth[:, None], ~truth[:, None]).astype(float)
    return np.repeat(seen, each, axis=0), np.repeat(np.arange(patients), each)


def test_intervals_cover_where_patients_stand_alone():
    rng, truth = np.random.default_rng(1), (2 * 0.85 - 1) ** 2
    held = []
    for number in range(150):
        votes, _ = reads(rng, 80)
        found = [cohen_kappa(votes[:, 0], votes[:, 1])]
        found += [fleiss_kappa(votes, replicates=300, seed=number), krippendorff_alpha(votes, replicates=300, seed=number)]
        held.append([one.low <= truth <= one.high for one in found])
    assert (np.mean(held, axis=0) >= 0.90).all()  # 95 %, less three standard errors


@pytest.mark.parametrize("measure", [lambda votes, **kept: cohen_kappa(votes[:, 0], votes[:, 1], **kept), fleiss_kappa, krippendorff_alpha])
def test_repeated_films_do_not_narrow_the_interval(measure):
    votes, patient = reads(np.random.default_rng(2), 60)
    one, four = measure(votes, cluster=patient), measure(np.tile(votes, (4, 1)), cluster=np.tile(patient, 4))
    assert four.value == pytest.approx(one.value, abs=0.01)
    assert (four.n_patients, four.n_samples) == (60, 240)
    assert four.high - four.low == pytest.approx(one.high - one.low, rel=0.15)
    alone = measure(np.tile(votes, (4, 1)))
    assert alone.high - alone.low < 0.7 * (four.high - four.low)
    assert (alone.note, one.note) == ("grouped by image: no patient ids", "")


def test_undefined_is_said():
    same = np.ones((20, 3))
    for found in (cohen_kappa(same[:, 0], same[:, 1]), fleiss_kappa(same), krippendorff_alpha(same)):
        assert np.isnan([found.value, found.low, found.high]).all()
        assert found.note.startswith("every reading is the same")
    empty = krippendorff_alpha([[1, np.nan], [np.nan, 2]])
    assert np.isnan(empty.value)
    assert empty.note.startswith("no sample with enough readings")
    few = fleiss_kappa([[0, 0, 1], [1, 1, 1], [np.nan, 1, 1]])
    assert np.isfinite(few.value)
    assert np.isnan(few.low)
    assert few.note == "fewer than 10 patients: no interval; grouped by image: no patient ids; 1 samples left out: fewer than 3 readings"
    perfect = cohen_kappa([0, 1] * 10, [0, 1] * 10)
    assert (perfect.low, perfect.value, perfect.high) == (1, 1, 1)
    assert perfect.note.startswith("no disagreement")


def test_what_is_refused():
    with pytest.raises(ConfigError, match="weights 'cubic' are unknown"):
        cohen_kappa([0, 1], [0, 1], weights="cubic")
    with pytest.raises(ConfigError, match="scale 'orderly' is unknown"):
        krippendorff_alpha(np.eye(2), scale="orderly")
    with pytest.raises(ConfigError, match="3 categories were read"):
        fleiss_kappa([[0, 1, 2]], free=2)
    with pytest.raises(DataError, match="negative"):
        krippendorff_alpha([[-1, 2]], scale="ratio")
    with pytest.raises(DataError, match="not a table"):
        fleiss_kappa([[0], [1]])
    with pytest.raises(DataError, match="differ in length"):
        cohen_kappa([0, 1], [0, 1, 1])
