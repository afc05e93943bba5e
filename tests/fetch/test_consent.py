# SPDX-License-Identifier: Apache-2.0
"""Terms are accepted once, on record, and asked for again when they change."""

import json
from dataclasses import replace

import pytest

from medsetu.catalog.card import load_card
from medsetu.core.errors import LicenceError
from medsetu.fetch.consent import NAME, accepted, require_consent

CARD = load_card("shenzhen")


def test_nobody_at_the_terminal_and_no_word_is_a_refusal(tmp_path):
    with pytest.raises(LicenceError, match="medsetu fetch release=shenzhen accept=true"):
        require_consent(CARD, tmp_path, accept=False, question=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", ["no", "", "yes, perhaps", "ye"])
def test_anything_but_yes_is_a_refusal(tmp_path, answer):
    with pytest.raises(LicenceError):
        require_consent(CARD, tmp_path, accept=False, question=lambda: answer)
    assert not accepted(CARD, tmp_path)


@pytest.mark.parametrize(("accept", "question", "how"), [(True, None, "command line"), (False, lambda: " YES\n", "terminal")])
def test_what_was_accepted_is_on_record_without_a_name_and_not_asked_again(tmp_path, monkeypatch, accept, question, how):
    monkeypatch.setenv("USER", "ZZ^SENTINEL")
    require_consent(CARD, tmp_path, accept=accept, question=question)
    record = json.loads((tmp_path / NAME).read_text())
    assert (record["accepted_by"], record["release"]) == (how, "shenzhen")
    assert "SENTINEL" not in json.dumps(record)
    require_consent(CARD, tmp_path, accept=False, question=None)


def test_changed_terms_and_another_release_are_asked_for_again(tmp_path):
    require_consent(CARD, tmp_path, accept=True, question=None)
    assert not accepted(replace(CARD, commercial_use="no"), tmp_path)
    assert not accepted(replace(CARD, name="other"), tmp_path)
    (tmp_path / NAME).write_text("{")
    assert not accepted(CARD, tmp_path)
