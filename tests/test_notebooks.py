# SPDX-License-Identifier: Apache-2.0
"""Every notebook runs from top to bottom, shows what its words say, and is stored without output and without a path of a machine."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_LIMIT = 240  # seconds; a whole notebook takes about 60 on one core
MACHINE = re.compile(r"(?<![\w.:/})<>-])[/~]\w*/\w|\b[A-Za-z]:\\")  # /home/..., ~/..., C:\...
SAME_ROW = r"</t[dh]>(?:(?!</tr>).)*"
TOLD = {  # what the prose of a notebook relies on: rows of its tables as first and later cell, lines of a terminal, and pictures
    "1_audit_a_release": (
        r"dmid +India +MG +510 +CC-BY-4.0 +open +yes",
        r"ibcd +India +MG +- +not found +none +no ",
        r"mammo_bench [^\n]*CC-BY-NC-SA +sign-in +no ",
        "3 entries",
        f"<td>unverified{SAME_ROW}licence",
        f"<td>traps{SAME_ROW}No patient ids",
        "knows 'ibcd', but no adapter reads it: [^\n]*Look at dmid.\nexit code 2",
        f"<td>tombstone{SAME_ROW}dmid",
        f"<td>sources{SAME_ROW}no proof",
        r"NonCommercial, section 2\(a\)\(1\) of CC-BY-NC-SA-4.0: [^\n]*\nexit code 5",
        "audit.html[^$]*exit code 6",
        "Rules planted: 32. Found in as many files as planted: 32. Found and not planted: 0.",
        r"Lines of text painted over: 3.\nRenamed, as their path told of a patient: 1. Tables that name such files no longer find\s+them.",
        r"Second audit: Audited 58 files: no findings by these rules.\nOutput: clean\nexit code 0",
        "Originals unchanged: True",
        *(f"<th>{word}</th>\\s*<td>[1-9]\\d*</td>\\s*<td>0</td>" for word in ("Kamala", "Devi", "HOSP", "2345 6789 0124", "ACME")),
        r"<th>village head</th>\s*<td>1</td>\s*<td>1</td>",
        "Sex, age and days between films kept: True - days moved: True",
        r"<th>10</th>\s*<td></td>\s*<td>MS-",
        r"were quarantined\nPrivacy of phantom",
        r"quarantined \(broken off\)</th>\s*<td>1</td>\s*<td>1</td>",
        r"images without row \(the telling folder\)</th>\s*<td>1</td>\s*<td>1</td>",
        r"rows without image \(one per reader\)</th>\s*<td>2</td>\s*<td>2</td>",
        r"films analysed</th>\s*<td>54</td>\s*<td>54</td>",
        *(
            f"<th>{number}</th>\\s*<td>clinic/teaching/{name}</td>\\s*<td>{kind}</td>\\s*<td>{kind}{SAME_ROW}</tr>{end}"
            for number, name, kind, end in (
                (0, "T0.png", "near", ""),
                (1, "T1.png", "inverted", ""),
                (2, "T2.png", "mirrored", ""),
                (3, "T3.jpg", "near", r"\s*</tbody>"),
            )
        ),
        "patients of these copies: 11. Global films that left: 11.",
        "in more than one part: 0\n",
        r"readers differ</th>\s*<td>8</td>\s*<td>8</td>",
        r"left unknown</th>\s*<td>8</td>\s*<td>8</td>",
        r"Cohen's kappa</th>\s*<td>0.704</td>\s*<td>0.704</td>",
        r"beside their film</th>\s*<td>1</td>\s*<td>1</td>",
        r"labelled absent</th>\s*<td>1</td>\s*<td>1</td>",
        r"regions left empty</th>\s*<td>0</td>\s*<td>0</td>",
        "clinic: readers who voted and never drew, left out of every region: 1",
        "unchanged, the frozen splits are used again",
        r"1 labels changed[^\n]*\nexit code 3",
        "no_ids: No patient ids: splits and intervals are by image",
        r"Patients with several films: \d+. Of them in more than one part: [1-9]",
    ),
    "3_read_a_shift_report": (
        f"gap: auroc{SAME_ROW}is worse than model on the global side",
        f"shift named{SAME_ROW}prevalence and covariate",
        f"image appearance{SAME_ROW}not identified",
        "<svg.*Waterfall of the AUROC",
        f"shift named{SAME_ROW}no shift found",
        f"<td>gap{SAME_ROW}cannot tell",
        f"<td>unexplained{SAME_ROW}loss",
        f"sort by device{SAME_ROW}device tells the classes apart",
        f"image appearance{SAME_ROW}refused: no overlap",
        f"how much{SAME_ROW}gap [+]",
    ),
}


def faults(notebook):
    """Name what a stored notebook must not hold."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
            found.append("output")
        if MACHINE.search(cell.source):
            found.append("path")
    return found + ["metadata" for name in notebook.metadata if name not in ("kernelspec", "language_info")]


def shown(notebook):
    """Gather everything that the cells show, as one text."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(str(part) for output in outputs for part in [output.get("text", ""), *output.get("data", {}).values()])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Execute a notebook in a folder of its own, away from the settings of whoever runs the test."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    place = tmp_path / "place"
    place.mkdir()

    def execute(notebook):
        NotebookClient(notebook, timeout=CELL_LIMIT, resources={"metadata": {"path": str(place)}}).execute()
        return notebook

    return execute


def test_there_are_notebooks():
    assert {path.stem for path in NOTEBOOKS} >= set(TOLD)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_without_output_and_without_a_path(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert faults(notebook) == []
    assert "SPDX-License-Identifier: Apache-2.0" in next(cell.source for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom_and_shows_what_it_says(path, run):
    text = shown(run(nbformat.read(path, as_version=4)))
    assert [told for told in TOLD.get(path.stem, ()) if not re.search(told, text, re.DOTALL)] == []


def test_an_output_or_a_path_is_found():
    ran = nbformat.v4.new_code_cell("1", execution_count=1)
    local = nbformat.v4.new_markdown_cell("see /home/somebody/films")
    drive = nbformat.v4.new_code_cell(r"open('C:\films\one.dcm')")
    clean = nbformat.v4.new_code_cell("folder / 'tmp' / 'scores.csv'  # runs/demo/study, https://example.org/a/b, </svg>")
    notebook = nbformat.v4.new_notebook(cells=[ran, local, drive, clean], metadata={"editor": "x"})
    assert faults(notebook) == ["output", "path", "path", "metadata"]


def test_a_cell_that_fails_fails_the_test(run):
    with pytest.raises(CellExecutionError):
        run(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]))
