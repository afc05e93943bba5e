# SPDX-License-Identifier: Apache-2.0
import pandas as pd
import pytest

from medsetu.core.errors import DataError
from medsetu.manifest.quarantine import refuse_too_many

SAMPLES = pd.DataFrame({"sample_id": [f"a/{n}" for n in range(20)] + ["b/0"], "release": ["a"] * 20 + ["b"]})
BROKEN = pd.DataFrame({"sample_id": ["a/0", "a/1"], "release": "a", "domain": "local", "reason": "truncated"})


def test_the_listing_is_saved_before_the_refusal(tmp_path):
    with pytest.raises(DataError, match="2 of 20 files of release 'a'") as caught:
        refuse_too_many(BROKEN, SAMPLES, limit=0.05, folder=tmp_path)
    assert str(caught.value).count(". ") >= 2
    assert "truncated" in str(caught.value)
    assert len(pd.read_csv(tmp_path / "quarantine.csv")) == 2


def test_the_limit_itself_is_allowed():
    refuse_too_many(BROKEN, SAMPLES, limit=0.1, folder=None)
    refuse_too_many(BROKEN.iloc[:0], SAMPLES, limit=0.0, folder=None)


def test_zero_allows_none():
    with pytest.raises(DataError):
        refuse_too_many(BROKEN.iloc[:1], SAMPLES, limit=0.0, folder=None)
