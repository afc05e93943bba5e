# SPDX-License-Identifier: Apache-2.0
"""Silence is not permission: verdicts for three uses."""

from dataclasses import replace

import pytest

from medsetu.catalog.card import load_card
from medsetu.catalog.licence import USES, joined, require, stated, verdict
from medsetu.catalog.weights import load_weight_card
from medsetu.core.errors import ConfigError, LicenceError

FREE = load_card("cmmd")
SILENT = load_card("nitrd")


@pytest.mark.parametrize(
    ("card", "research", "commercial", "release_weights"),
    [
        (FREE, True, True, True),
        (SILENT, True, False, False),
        (replace(SILENT, research_use="no"), False, False, False),
        (replace(SILENT, commercial_use="yes", weights_release="yes"), True, False, False),  # yes without a licence text is not believed
        (replace(FREE, commercial_use="ask", weights_release="ask"), True, False, False),
        (replace(FREE, commercial_use="no", weights_release=None), True, False, False),
        (replace(FREE, tombstone="withdrawn"), False, False, False),
        (load_card("embed"), True, False, False),
        (load_card("nih_chestxray14"), True, True, True),
        (load_card("table"), True, False, False),
    ],
)
def test_each_use_has_its_answer(card, research, commercial, release_weights):
    answers = [verdict([card], use).allowed for use in ("research", "commercial", "release_weights")]
    assert answers == [research, commercial, release_weights]


def test_one_refusal_refuses_all():
    answer = verdict([FREE, SILENT], "commercial")
    assert not answer.allowed
    assert [clause.release for clause in answer.refused] == ["nitrd"]
    assert [clause.release for clause in answer.clauses] == ["cmmd", "nitrd"]


def test_ask_permits_research_with_a_note():
    clause = verdict([SILENT], "research").clauses[0]
    assert clause.allowed
    assert clause.licence == ""
    assert clause.reason.startswith("Confirm the terms")


def test_require_names_release_clause_and_remedy():
    assert require([FREE, SILENT], "research").allowed
    with pytest.raises(LicenceError, match=r"1 of 2 releases do not permit use in or for a product.*'nitrd'.*silence.*Leave out nitrd"):
        require([FREE, SILENT], "commercial")
    with pytest.raises(LicenceError, match="forbids publishing models"):
        require([load_card("embed")], "release_weights")


@pytest.mark.parametrize("name", ["cq500", "tbx11k", "mammo_bench", "gbcu"])
def test_a_product_from_non_commercial_data_is_refused_and_the_clause_is_named(name):
    clause = rf"Release '{name}' \(CC-BY-NC-SA-4\.0\): NonCommercial, section 2\(a\)\(1\) of CC-BY-NC-SA-4\.0"
    with pytest.raises(LicenceError, match=clause):
        require([FREE, load_card(name)], "commercial")
    research = require([FREE, load_card(name)], "research")
    assert [duty.partition(",")[0] for duty in research.duties] == ["Attribution", "Attribution", "NonCommercial", "ShareAlike"]


def test_every_refusal_is_told_not_only_the_first():
    with pytest.raises(
        LicenceError, match=r"2 of 3.*Release 'nitrd' \(no licence text known\).*; Release 'tbx11k' .*NonCommercial, section"
    ):
        require([FREE, SILENT, load_card("tbx11k")], "commercial")


@pytest.mark.parametrize(
    ("card", "allowed"),
    [
        (FREE, True),
        (load_card("nih_chestxray14"), True),
        (load_card("padchest"), False),
        (load_card("adni"), False),
        (SILENT, False),
        (load_card("tbx11k"), False),
        (replace(SILENT, tables_release="yes"), False),
    ],
)
def test_tables_are_a_use_of_their_own(card, allowed):
    assert verdict([card], "share_tables").allowed == allowed


def test_weights_have_no_say_about_tables():
    closed = load_weight_card("mammo_clip_b5")
    assert [clause.release for clause in verdict([FREE], "share_tables", weights=closed).clauses] == ["cmmd"]


def test_no_derivatives_stands_against_passing_on_and_not_against_study():
    bound = replace(FREE, licence="CC-BY-ND-4.0", weights_release="ask", tables_release="no")
    assert verdict([bound], "commercial").allowed
    for use in ("release_weights", "share_tables"):
        assert "NoDerivatives, section 2(a)(1)(B)" in verdict([bound], use).refused[0].reason
    assert any(duty.startswith("NoDerivatives") for duty in verdict([bound], "research").duties)


def test_two_ways_to_share_alike_cannot_both_be_met():
    one = replace(FREE, name="one", licence="CC-BY-SA-4.0")
    other = replace(FREE, name="other", licence="CC-BY-NC-SA-4.0", commercial_use="no")
    for use in ("release_weights", "share_tables"):
        assert verdict([one], use).allowed
        with pytest.raises(LicenceError, match=r"1 of 3 .*ShareAlike: each of CC-BY-NC-SA-4.0 and CC-BY-SA-4.0.*Leave out one of them"):
            require([one, other], use)
    assert verdict([one, other], "research").allowed
    assert joined([one, other], None) == {"research": "yes", "commercial": "no", "release_weights": "no"}
    assert joined([one], None)["release_weights"] == "yes"


def test_what_stays_with_weights_made_from_bound_data():
    told = stated([FREE, load_card("tbx11k")], load_weight_card("mammo_clip_b5"))
    assert len(told) == len(set(told))
    assert any(text.startswith("NonCommercial") for text in told)
    assert any(text.startswith("ShareAlike, section 3(b) of CC-BY-NC-SA-4.0: what is adapted") for text in told)
    assert stated([load_card("phantom")], None) == ()


def test_a_verdict_counts_everything_that_has_a_say():
    for use in USES:
        answer = verdict([FREE, SILENT], use)
        assert answer.allowed == (not answer.refused)
        assert all(not clause.duties for clause in answer.refused)


def test_an_unknown_use_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'commercial'"):
        verdict([FREE], "comercial")


NIH = "nih_chestxray14"


@pytest.mark.parametrize(
    ("weights", "use", "clause"),
    [
        ("densenet121_xrv", "commercial", "Weights 'densenet121_xrv' were taught on release"),
        ("mammo_clip_b5", "commercial", "Non-commercial, and what derives"),
        ("ark_plus", "release_weights", "patent pending"),
        ("resnet18_timm", "commercial", "because of ImageNet"),
        ("chexzero", "release_weights", "silence is not permission"),
    ],
)
def test_weights_refuse_a_use_and_the_clause_is_named(weights, use, clause):
    with pytest.raises(LicenceError, match=clause):
        require([load_card(NIH)], use, weights=load_weight_card(weights))
    require([load_card(NIH)], "research", weights=load_weight_card(weights))


def test_weights_with_open_terms_and_open_data_pass():
    weights = load_weight_card("densenet121_xrv_nih")
    answer = require([load_card(NIH)], "commercial", weights=weights)
    assert [clause.release for clause in answer.clauses] == [NIH, "densenet121_xrv_nih", NIH]
    assert require([load_card(NIH)], "commercial", weights=load_weight_card("dinov2_vit_small_timm")).allowed


def test_terms_of_weights_made_from_releases_and_weights():
    nih, free, closed = load_card(NIH), load_weight_card("dinov2_vit_small_timm"), load_weight_card("mammo_clip_b5")
    assert joined([nih], None) == {"research": "yes", "commercial": "yes", "release_weights": "yes"}
    assert joined([nih], free)["commercial"] == "yes"
    assert joined([nih], closed)["commercial"] == "no"
    assert joined([nih], load_weight_card("densenet121_xrv"))["commercial"] == "no", "CheXpert is for research"
