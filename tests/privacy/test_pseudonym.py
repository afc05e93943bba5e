# SPDX-License-Identifier: Apache-2.0
import stat
from datetime import date

import pytest

from medsetu.core.errors import ConfigError, PrivacyError, ResourceError
from medsetu.privacy.dummy import PSEUDONYM
from medsetu.privacy.pseudonym import Pseudonyms, load_key

ONE, OTHER = Pseudonyms(bytes(32)), Pseudonyms(bytes([1]) * 32)


def test_pseudonyms_are_consistent_and_keyed():
    assert ONE.name("ZZ^SENTINEL") == ONE.name(" ZZ^SENTINEL ") != OTHER.name("ZZ^SENTINEL")
    assert ONE.name("7") != ONE.name("7", kind="accession") != ONE.name("8", kind="accession")
    assert PSEUDONYM.fullmatch(ONE.name("7"))
    assert "SENTINEL" not in repr(Pseudonyms(b"SENTINEL" * 4))


def test_uids_are_valid_and_consistent():
    made = {ONE.uid(f"1.2.3.{number}") for number in range(500)}
    assert len(made) == 500
    assert all(uid.startswith("2.25.") and len(uid) <= 64 and not uid[5:].startswith("0") for uid in made)
    assert ONE.uid("1.2.3") == ONE.uid("1.2.3") != OTHER.uid("1.2.3")


def test_dates_of_a_patient_keep_their_distance():
    def day(text):
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))

    first, second = ONE.moved("20240301", patient="a"), ONE.moved("20240315101112.5+0530", patient="a")
    assert (day(second) - day(first)).days == 14
    assert second[8:] == "101112.5+0530"
    assert 1 <= (date(2024, 3, 1) - day(first)).days <= 3650
    assert len({ONE.shift_days(str(patient)) for patient in range(100)}) > 90


@pytest.mark.parametrize("text", ["", "2024", "20241399", "spring", "00000000"])
def test_what_is_no_day_becomes_a_dummy(text):
    assert ONE.moved(text, patient="a") == "19000101"
    assert ONE.moved("00010105", patient="a") == "00010101"


def test_a_key_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "keys" / "a.key"
    first = load_key(path, away_from=(tmp_path / "out",))
    assert first == load_key(path, away_from=(tmp_path / "out",))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first.key) >= 32


def test_a_key_never_lies_where_it_is_given_away(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "out", target_is_directory=True)
    for place in ("out/a.key", "out/deep/a.key", "in/a.key", "link/a.key"):
        with pytest.raises(PrivacyError):
            load_key(tmp_path / place, away_from=(tmp_path / "in", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_bad_key_is_refused(tmp_path):
    (tmp_path / "short").write_text("secret")
    with pytest.raises(ConfigError) as caught:
        load_key(tmp_path / "short", away_from=())
    assert "secret" not in str(caught.value)
    with pytest.raises(ResourceError):
        load_key(tmp_path, away_from=())
