# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.identified import SECRETS, identified_folder
from medsetu.core.errors import DataError, ResourceError
from medsetu.core.line import LineStore
from medsetu.privacy import walk
from medsetu.privacy.audit import Audited, reference
from medsetu.privacy.plan import AuditPlan, audit_plan
from medsetu.privacy.walk import audit_folder, list_files, locate

PLAN = AuditPlan(pixels=False)


KILLED = """
import sys, time
from pathlib import Path
from medsetu.core.line import LineStore
from medsetu.privacy import walk
from medsetu.privacy.audit import Audited
from medsetu.privacy.plan import AuditPlan

work = walk.audit_batch

def slow(jobs):
    if any(job.path.name == "note20.txt" for job in jobs):
        Path(sys.argv[3]).touch()
        time.sleep(60)
    return work(jobs)

walk.audit_batch = slow
plan = AuditPlan(pixels=False)
begun = walk.audit_folder(Path(sys.argv[1]), plan=plan, workers=1, store=LineStore(Path(sys.argv[2]), Audited))
sum(begun.run())
"""


def audited(folder, *, store=None, workers=1, plan=PLAN, skip=None):
    begun = audit_folder(folder, plan=plan, workers=workers, store=LineStore(store, Audited), skip=skip)
    done = sum(begun.run())
    assert done == begun.total
    return begun.result()


def test_findings_are_summed_by_rule(tmp_path):
    folder = identified_folder(tmp_path / "in")
    audit = audited(folder)
    assert len(audit.files) == 3
    assert audit.unreadable <= 1
    by_rule = audit.findings.set_index("rule")
    assert by_rule.loc["dicom/00100010", "count"] == 1
    assert by_rule.loc["path/looks like mobile", "files"] == 1
    assert by_rule.loc["sheet/column of names", "kind"] == "identifier"
    assert audit.total == audit.findings.loc[audit.findings["counts"], "count"].sum() > 20
    assert not [secret for secret in SECRETS if secret in audit.findings.to_csv() + audit.files.to_csv()]


def test_the_gravest_kinds_come_first(tmp_path):
    kinds = list(audited(identified_folder(tmp_path / "in")).findings["kind"])
    assert kinds == sorted(kinds, key=walk.KINDS.index)


def test_two_processes_find_what_one_finds(tmp_path):
    folder = identified_folder(tmp_path / "in")
    for number in range(40):
        (folder / f"note{number}.txt").write_text("Smt. Devi\n" * number)
    one, two = audited(folder, workers=1), audited(folder, workers=2)
    assert one.findings.equals(two.findings)
    assert one.files.equals(two.files)


def test_a_second_audit_knows_the_first(tmp_path, monkeypatch):
    folder, store = identified_folder(tmp_path / "in"), tmp_path / "out" / "seen.jsonl"
    first = audited(folder, store=store)
    assert not [secret for secret in SECRETS if secret in store.read_text()]
    (folder / "new.txt").write_text("Smt. Devi\n")
    with store.open("a") as stream:
        stream.write('{"ref": "torn')
    seen = []
    work = walk.audit_batch
    monkeypatch.setattr(walk, "audit_batch", lambda jobs: seen.extend(jobs) or work(jobs))
    again = audited(folder, store=store)
    assert {job.path.name for job in seen} <= {"new.txt", "broken.dcm"}
    assert again.total == first.total + 1
    assert again.known == 3 - first.unreadable
    seen.clear()
    audited(folder, store=store, plan=audit_plan(retain=["uids"], pixels=False))
    assert len(seen) == 4  # other settings, other answers


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_audit_goes_on(tmp_path, monkeypatch):
    folder, store, there = tmp_path / "in", tmp_path / "seen.jsonl", tmp_path / "there"
    folder.mkdir()
    for number in range(32):
        (folder / f"note{number:02d}.txt").write_text("Smt. Devi\n" * (number % 3 + 1))
    command = [sys.executable, "-c", KILLED, folder, store, there]
    process = subprocess.Popen([str(part) for part in command], env=dict(os.environ))
    until = time.monotonic() + 60
    while time.monotonic() < until and not there.exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen = []
    work = walk.audit_batch
    monkeypatch.setattr(walk, "audit_batch", lambda jobs: seen.extend(jobs) or work(jobs))
    again = audited(folder, store=store)
    assert [job.path.name for job in seen] == [f"note{number:02d}.txt" for number in range(16, 32)]  # after two whole batches
    assert again.known == 16
    whole = audited(folder)
    assert again.findings.equals(whole.findings)
    assert again.files.equals(whole.files)


def test_the_report_is_not_audited(tmp_path):
    folder = identified_folder(tmp_path / "in")
    (folder / "audit").mkdir()
    (folder / "audit" / "seen.jsonl").write_text("Smt. Devi\n")
    assert len(audited(folder, skip=folder / "audit").files) == 3


def test_links_to_folders_are_named_and_not_followed(tmp_path):
    folder = identified_folder(tmp_path / "in")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    audit = audited(folder)
    assert audit.findings.set_index("rule").loc["file/link", "count"] == 1
    assert len(audit.files) == 4


def test_one_file_may_be_audited(tmp_path):
    folder = identified_folder(tmp_path / "in")
    assert len(audited(folder / "list.csv").files) == 1


def test_a_reference_leads_to_its_file(tmp_path):
    folder = identified_folder(tmp_path / "in")
    assert locate(folder, reference(Path("list.csv"))) == Path("list.csv")
    assert locate(folder, "0" * 12) is None


def test_nothing_to_audit_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        list_files(tmp_path / "missing")
    with pytest.raises(DataError, match="no file"):
        list_files(tmp_path)


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "out").write_text("a file where a folder should be")
    with pytest.raises(ResourceError):
        audited(identified_folder(tmp_path / "in"), store=tmp_path / "out" / "seen.jsonl")
