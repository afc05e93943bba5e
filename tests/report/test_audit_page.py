# SPDX-License-Identifier: Apache-2.0
import json
from datetime import date

from fakes.identified import SECRETS, identified_folder
from medsetu.privacy.plan import AuditPlan
from medsetu.privacy.walk import audit_folder, summarise
from medsetu.report.audit_page import AuditReport, to_page, to_plain, verdict, write_audit

DAY = date(2026, 11, 22)


def report_of(folder):
    begun = audit_folder(folder, plan=AuditPlan(pixels=False), workers=1)
    list(begun.run())
    return AuditReport(audit=begun.result(), day=DAY, settings={"pixels": "not looked at"})


def test_nothing_of_the_patient_stands_in_any_file(tmp_path):
    report = report_of(identified_folder(tmp_path / "in"))
    page = write_audit(report, tmp_path / "out")
    written = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert page.name == "audit.html"
    assert not [secret for secret in SECRETS if secret in written]
    assert "Patient&#39;s Name" in page.read_text()


def test_the_law_is_mapped_with_its_dates(tmp_path):
    report = report_of(identified_folder(tmp_path / "in"))
    plain = to_plain(report)
    research = next(line for line in plain["law"] if "17(2)(b)" in line["cite"])
    assert research["count"] == report.audit.total == sum(row["count"] for row in plain["findings"])
    assert research["status"] == "not yet in force; from mid-May 2027"
    assert "not yet in force; from mid-May 2027" in to_page(report)
    json.dumps(plain)


def test_the_word_is_audited_never_anonymous(tmp_path):
    (tmp_path / "a.txt").write_text("plain words\n")
    clean = report_of(tmp_path)
    assert verdict(clean.audit) == "Audited 1 file: no findings by these rules."
    for text in (to_page(clean), json.dumps(to_plain(clean)), to_page(report_of(identified_folder(tmp_path / "in")))):
        assert "anonym" not in text.lower()
        assert "no proof" in text


def test_an_empty_audit_has_a_page():
    assert "Audited 0 files" in to_page(AuditReport(audit=summarise([]), day=DAY, settings={}))
