# SPDX-License-Identifier: Apache-2.0
import re
from dataclasses import replace

import pandas as pd
import pytest

from contest.cohort import PLAN, field
from medsetu.contest.sentence import sentences
from medsetu.contest.tournament import hold

CHEAP = replace(PLAN, bootstrap=20)


def told(skill, plan=CHEAP, **settings):
    return " ".join(sentences(hold(field(skill, **settings), plan)))


def test_a_winner_is_named():
    said = told({"a": 4.0, "b": 0.5, "c": 0.5}, per_class=60)
    assert "The winner is a: AUROC 0." in said
    assert "better than each of the other 2, after Holm over 3 pairs" in said
    assert "it takes" not in said
    assert "DeLong's joint test that all are equal: chi-square " in said


def test_when_none_can_be_told_apart_the_number_it_takes_is_said():
    found = hold(field({"a": 1.5, "b": 1.5, "c": 1.5}, per_class=30), CHEAP)
    said = " ".join(sentences(found))
    assert f"No winner can be named: {found.leader} leads" in said
    assert "none of the other 2 can be told apart" in said
    assert "With 30 positive and 30 negative films, a true difference of 0.05" in said
    assert f"{found.n_family:.0f} when Holm is to hold over 3 pairs" in said
    assert "not told apart is not the same as equal" in said


def test_some_that_are_worse_are_counted():
    said = told({"a": 3.0, "b": 3.0, "c": 0.0, "d": 0.0}, per_class=60)
    assert "the other 2 are told to be worse" in said


def test_seeds_that_drown_every_difference_ask_for_seeds():
    said = told({"a": 1.5, "b": 1.5}, per_class=30, seeds=2, noise=3.0)
    asked = re.search(r"no number of films is enough with 2 seeds: with (\d+) seeds it takes (\d+) independent films per class", said)
    assert int(asked[1]) > 2
    assert int(asked[2]) > 30
    assert "DeLong's joint test" not in said


@pytest.mark.parametrize(("val", "words"), [(0, "bootstrap of the argmax"), (20, "on its validation films by validation alone")])
def test_the_optimism_says_how_it_was_found(val, words):
    assert words in told({"transfer:a": 1.5, "transfer:b": 1.5}, val=val)


def test_equal_twins_are_said_to_be_equal():
    table = field({"a": 2.0, "b": 2.0}, per_class=100)
    twins = table[table["arm"] == "a"]
    said = " ".join(sentences(hold(pd.concat([twins, twins.assign(arm="b")], ignore_index=True), CHEAP)))
    assert "Shown to be equal within 0.05 (TOST, Holm): a and b, 1 of 1 pair." in said


def test_a_reference_gets_its_own_sentence():
    said = told({"a": 1.0, "b": 4.0, "c": 1.0}, plan=replace(CHEAP, reference="a"), per_class=60)
    assert "Against a (2 comparisons, Holm): b better; 1 not told apart from it." in said


def test_too_few_films_say_why_nothing_could_be_tested():
    said = told({"a": 1.5, "b": 1.5}, per_class=8)
    assert "no pair could be tested: fewer than 10 positive or negative patients" in said


def test_one_class_has_no_leader():
    table = field({"a": 1.5, "b": 1.5}).assign(label=1.0)
    assert sentences(hold(table, CHEAP))[0].startswith("No contestant has an AUROC")


def test_the_claim_ends_the_story():
    assert "What this may claim: this model (tuberculosis, NITRD, by patient)." in told({"a": 1.5, "b": 1.5})
