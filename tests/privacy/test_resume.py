# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from fakes.identified import SECRETS, identified_folder
from medsetu.core.line import LineStore
from medsetu.privacy.deidentify import Cleaned, Cleaning, DeidentifyPlan, clean_batch
from medsetu.privacy.plan import AuditPlan
from medsetu.privacy.pseudonym import Pseudonyms
from medsetu.privacy.resume import finished, keyed
from medsetu.privacy.walk import list_files

PLAN = DeidentifyPlan(AuditPlan(pixels=False), Pseudonyms(bytes(range(32))))


def jobs_of(folder, out, plan=PLAN):
    return keyed([Cleaning(folder / path, path, out, plan) for path in list_files(folder)[0]])


@pytest.fixture
def begun(tmp_path):
    """A folder that was de-identified as far as it goes, and its notes."""
    folder, out = identified_folder(tmp_path / "in"), tmp_path / "out.partial"
    (folder / "plain.txt").write_text("nothing\n")
    store = LineStore(tmp_path / "notes.jsonl", Cleaned)
    jobs = jobs_of(folder, out)
    store.add(clean_batch(jobs))
    return folder, out, store


def test_what_is_whole_is_finished_and_the_notes_hold_nobody(begun, tmp_path):
    folder, out, store = begun
    jobs = jobs_of(folder, out)
    done = finished(jobs, out, store)
    assert set(done) == {job.ref for job in jobs}
    notes = (tmp_path / "notes.jsonl").read_text()
    assert not [secret for secret in (*SECRETS, "plain.txt", bytes(range(32)).hex()) if secret in notes]


def test_what_was_changed_or_is_not_noted_is_done_again_and_the_rest_removed(begun):
    folder, out, store = begun
    written = sorted(path for path in out.rglob("*") if path.is_file())
    written[0].write_bytes(b"half")
    (out / "under_way.tmp").write_bytes(b"")
    done = finished(jobs_of(folder, out), out, store)
    assert sum(not record.held for record in done.values()) == len(written) - 1
    assert sorted(path for path in out.rglob("*") if path.is_file()) == written[1:]


def test_a_changed_original_is_done_again_and_its_old_copy_goes(begun):
    folder, out, store = begun
    (folder / "plain.txt").write_text("nothing more\n")
    done = finished(jobs_of(folder, out), out, store)
    assert len(done) == len(list_files(folder)[0]) - 1
    assert not (out / "plain.txt").exists()


def test_an_original_that_is_gone_leaves_no_copy(begun):
    folder, out, store = begun
    (folder / "plain.txt").unlink()
    finished(jobs_of(folder, out), out, store)
    assert not (out / "plain.txt").exists()


@pytest.mark.parametrize("change", ["key", "columns", "gated", "audit"])
def test_other_settings_find_nothing_and_remove_nothing(begun, change):
    folder, out, store = begun
    other = {"key": {"pseudonyms": Pseudonyms(bytes(32))}, "columns": {"columns": {"a": "keep"}}, "gated": {"gated": "redact"}}
    other["audit"] = {"audit": AuditPlan(pixels=False, retain=("uids",))}
    before = sorted(out.rglob("*"))
    assert finished(jobs_of(folder, out, replace(PLAN, **other[change])), out, store) == {}
    assert sorted(out.rglob("*")) == before


def test_a_folder_of_somebody_else_is_left_alone(begun, tmp_path):
    folder, _, store = begun
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "a").write_text("theirs")
    assert finished(jobs_of(folder, tmp_path / "theirs"), tmp_path / "theirs", store) == {}
    assert (tmp_path / "theirs" / "a").is_file()
    assert finished(jobs_of(folder, tmp_path / "no"), tmp_path / "no", store) == {}
    assert keyed([]) == []
