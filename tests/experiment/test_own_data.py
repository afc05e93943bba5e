# SPDX-License-Identifier: Apache-2.0
"""The worked examples of docs/own_data.md, run as they are written."""

import re
import shlex
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from PIL import Image

from fakes.film import SENTINEL, eight_bit, film
from medsetu import cli
from medsetu.release.table import FACTS

PAGE = Path(__file__).parents[2] / "docs" / "own_data.md"
EXAMPLES = re.findall(r"^## (\d)\. .*?```console\n\$ medsetu (.*?)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
COUNT = 16


def _films(root):
    rng = np.random.default_rng(0)
    names = [f"ward{number % 2}/{number:04d}.png" for number in range(COUNT)]
    for number, name in enumerate(names):
        (root / "films" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(eight_bit(film(rng, spots=[5] * (number % 2)))).save(root / "films" / name)
    return names


def _eyes(root):
    """Photographs in colour, each its own pattern."""
    rng = np.random.default_rng(1)
    (root / "eyes").mkdir()
    for number in range(COUNT):
        colours = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((96, 96)).save(root / "eyes" / f"{number:03d}.jpg")


def _radiographs(root):
    rows = [
        {
            "file": name,
            "hospital_no": SENTINEL if number == 0 else f"H{number // 2}",
            "gender": "Female",
            "age": "045Y",
            "tb": ["no", "yes"][number % 2],
        }
        for number, name in enumerate(_films(root))
    ]
    pd.DataFrame(rows).to_csv(root / "labels.csv", index=False)


def _workbook(root):
    _eyes(root)
    book = openpyxl.Workbook()
    words = ("Drusen|Exudate", "Normal", "Drusen", "Normal")
    rows = [[f"{number:03d}", f"{SENTINEL} {number // 2}", ("OD", "OS")[number % 2], words[number % 4]] for number in range(COUNT)]
    for cells in (["Screening camp, 2021"], [], ["Picture", "Person", "Eye", "Findings"], *rows):
        book.active.append(cells)
    book.save(root / "grades.xlsx")


def _boxes(root):
    _eyes(root)
    (root / "boxes").mkdir()
    box = "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>"
    for number in range(COUNT):
        drawn = [["exudate"], ["haemorrhage", "exudate"], [], ["drusen"]][number % 4]
        objects = "".join(f"<object><name>{name}</name>{box}</object>" for name in drawn)
        size = "<size><width>96</width><height>96</height><depth>3</depth></size>"
        (root / "boxes" / f"{number:03d}.xml").write_text(f"<annotation>{size}{objects}</annotation>")


def _votes(root):
    rows = [
        {
            "file": name,
            "reader": f"Dr {who}",
            "patient": SENTINEL if number == 0 else f"H{number}",
            "tb": int(number % 2 if who != "B" else number % 3 == 0),
        }
        for number, name in enumerate(_films(root))
        for who in "ABC"
    ]
    pd.DataFrame(rows).to_csv(root / "votes.csv", index=False, sep=";")


def _drawings(root):
    names = _films(root)
    labels = {"file": names, "tb": ["no", "yes"] * (COUNT // 2)}
    pd.DataFrame(labels).to_csv(root / "labels.csv", index=False)
    boxes = {"film": names[1::2], "left": 10, "top": 12, "right": 40, "bottom": 44, "what": "tuberculosis"}
    pd.DataFrame(boxes).to_csv(root / "boxes.csv", index=False)
    (root / "films" / "masks").mkdir()
    for name in names[1::2]:
        with Image.open(root / "films" / name) as picture:
            mask = Image.new("L", picture.size)
        mask.paste(255, (5, 5, 20, 20))
        mask.save(root / "films" / "masks" / Path(name).name)


FOLDERS = {"1": _radiographs, "2": _workbook, "3": _boxes, "4": _votes, "5": _drawings}


def test_there_are_five_examples():
    assert [number for number, *_ in EXAMPLES] == list(FOLDERS)


@pytest.mark.parametrize(("number", "command", "printed"), EXAMPLES)
def test_an_example_does_what_the_page_says(tmp_path, monkeypatch, capfd, number, command, printed):
    monkeypatch.chdir(tmp_path)
    FOLDERS[number](tmp_path)
    with pytest.raises(SystemExit) as left:
        cli.main([*shlex.split(command), "workers=1"])
    out, err = capfd.readouterr()
    told = " ".join(out.split())
    assert (left.value.code, err) == (0, "")
    assert [line for line in printed.splitlines() if line not in told] == []
    assert SENTINEL not in told
    assert [path.name for path in (tmp_path / "runs").rglob("*") if path.is_file() and SENTINEL.encode() in path.read_bytes()] == []


def test_the_page_names_every_fact():
    assert [fact for fact in FACTS if f"`{fact}`" not in PAGE.read_text() and f"columns.{fact}=" not in PAGE.read_text()] == []
