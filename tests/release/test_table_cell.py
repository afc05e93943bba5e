# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from medsetu.core.errors import ConfigError
from medsetu.release.table_cell import FACT_READERS, label_of, require_known, rule_of, word_of

POLICY = {"blank": "unknown", "uncertain": "unknown"}


@pytest.mark.parametrize(("cell", "expected"), [("1", 1.0), ("0", 0.0), ("true", 1.0), ("2", None)])
def test_a_plain_column_knows_one_and_zero(cell, expected):
    assert label_of(cell, rule=rule_of("x"), policy=POLICY) == expected


def test_words_are_compared_without_case_and_point():
    assert word_of(1.0) == word_of("1") == word_of("1.0")
    rule = rule_of({"column": "x", "positive": ["TB"], "negative": ["*"]})
    assert label_of(word_of(" tb "), rule=rule, policy=POLICY) == 1.0
    assert math.isnan(label_of("", rule=rule, policy=POLICY))


def test_a_misspelt_word_is_named():
    with pytest.raises(ConfigError, match="Did you mean 'positive'"):
        rule_of({"column": "x", "positiv": ["TB"]})
    with pytest.raises(ConfigError, match="names no column"):
        rule_of({"positive": ["TB"]})
    with pytest.raises(ConfigError, match="'b' is not known"):
        require_known(["a", "b"], ["a"], where="test")


@pytest.mark.parametrize(("fact", "cell", "expected"), [("age", "045Y", 45.0), ("view", "Lateral", "LL"), ("laterality", "left", "L")])
def test_cells_become_facts(fact, cell, expected):
    assert FACT_READERS[fact][1]("r", cell) == expected
