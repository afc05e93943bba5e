# SPDX-License-Identifier: Apache-2.0
import pytest

from fakes.report import report
from medsetu.report.render import render, to_html


@pytest.fixture(scope="session")
def study_report():
    """The report of a study that never ran, with a hostile site name."""
    return report()


@pytest.fixture(scope="session")
def page(study_report):
    """Its page, as text."""
    return to_html(study_report)


@pytest.fixture(scope="session")
def page_file(study_report, tmp_path_factory):
    """Its page, as a file."""
    return render(study_report, tmp_path_factory.mktemp("report") / "report.html")
