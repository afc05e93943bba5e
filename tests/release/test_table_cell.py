# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from medsetu.core.errors import ConfigError
from medsetu.release.table_cell import FACT_READERS, label_of, require_known, rule_of, word_of

POLICY = {"blank": "unknown", "uncertain": "unknown"}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("1", 1.0), ("0", 0.0), ("true", 1.0), ("Yes", 1.0), ("NEGATIVE", 0.0), ("1,0", 1.0), ("1,000", None), ("2", None), ("-", None)],
)
def test_a_plain_column_knows_yes_and_no(cell, expected):
    assert label_of(word_of(cell), rule=rule_of("x"), policy=POLICY) == expected


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
    for nothing in (None, True, ["a", "b"], {"column": None}):
        with pytest.raises(ConfigError, match="names no column"):
            rule_of(nothing)
    assert rule_of(5)["column"] == "5"  # as YAML reads the name of a column
    with pytest.raises(ConfigError, match="'b' is not known"):
        require_known(["a", "b"], ["a"], where="test")


@pytest.mark.parametrize(
    ("fact", "cell", "expected"),
    [
        ("age", "045Y", 45.0),
        ("age", "45,5", 45.5),
        ("age", "45 years", 45.0),
        ("age", "006M", 0.5),
        ("sex", "Male", "M"),
        ("view", "Lateral", "LL"),
        ("laterality", "left", "L"),
        ("laterality", "OD", "R"),
    ],
)
def test_cells_become_facts(fact, cell, expected):
    assert FACT_READERS[fact][1]("r", cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Effusion|Mass", 1.0),
        ("No Finding", 0.0),
        ("Nodule?|Mass?", None),
        ("Fibrosis|unclear", float("nan")),
        ("Mass|unclear", 1.0),
        ("|", float("nan")),
    ],
)
def test_a_cell_may_hold_several_values(cell, expected):
    rule = rule_of(
        {"column": "x", "separator": "|", "positive": "Mass", "negative": ["No Finding", "Fibrosis", "Effusion"], "unknown": ["unclear"]}
    )
    found = label_of(word_of(cell), rule=rule, policy=POLICY)
    assert found == expected or (found is not None and math.isnan(found) and math.isnan(expected))


def test_codes_with_a_comma_between_them_are_no_decimal_number():
    rule = rule_of({"column": "x", "separator": ",", "positive": [1], "negative": ["*"]})
    assert [label_of(cell, rule=rule, policy=POLICY) for cell in ("1,2", "2,1", "3", "2,3", "1.0")] == [1.0, 1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(("value", "cell"), [(True, "Yes"), (True, "true"), (False, "no"), (False, "off")])
def test_yes_and_no_are_words_though_yaml_reads_truth(value, cell):
    assert label_of(word_of(cell), rule=rule_of({"column": "x", "positive": [value], "negative": ["*"]}), policy=POLICY) == 1.0
