# SPDX-License-Identifier: Apache-2.0
"""Bad input on the command line: a named error or a stated reason, its exit code, no name of a patient anywhere, no work lost."""

import copy
import functools
import gzip
import io
import struct
import zipfile
import zlib

import hydra
import numpy as np
import openpyxl
import pandas as pd
import pytest
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from PIL import Image
from scripts.damage import LAUGHS

from fakes import series, volumes
from fakes.dicom import SENTINEL, dataset, to_bytes
from fakes.film import eight_bit, film
from fakes.nifti import nifti
from medsetu import cli
from medsetu.core.errors import MedsetuError
from medsetu.reader import sheet, workbook
from medsetu.recipe import app
from medsetu.recipe.app import plain

COUNT = 8
WORDS = (
    "release=table",
    "root=own",
    "release.labels=labels.csv",
    "release.columns.image=file",
    "release.columns.patient=patient",
    "release.columns.age=age",
    "release.finding_columns={mass: mass}",
    "side=external",
    "workers=1",
    "manifest.max_quarantine=0.4",
)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of eight small films with a sheet; the name of the first patient may appear nowhere."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    root = tmp_path / "own"
    (root / "films").mkdir(parents=True)
    rows = []
    for number in range(COUNT):
        mass = number % 2
        Image.fromarray(eight_bit(film(rng, spots=[5] * mass))).save(root / "films" / f"{number}.png")
        who = SENTINEL if number == 0 else f"P{number}"
        rows.append({"file": f"films/{number}.png", "patient": who, "age": f"{40 + number}.5", "mass": mass, "note": f"{who}, seen"})
    pd.DataFrame(rows).to_csv(root / "labels.csv", index=False)
    return root


@functools.cache
def composed(verb, folder, words):
    with hydra.initialize_config_dir(str(folder), version_base="1.3"):
        return plain(hydra.compose(verb, list(words)))


@pytest.fixture
def say(capfd, tmp_path, monkeypatch):
    """Run a verb as a person would: exit code, and the terminal as one line. Neither that nor a file made names the patient.

    Hydra composes equal words once, which takes longer than all the rest.
    """
    as_it_is = app.run_verb

    def run_verb(verb, words, *, task, folder):
        try:
            config = copy.deepcopy(composed(verb, folder, tuple(words)))
        except (HydraException, OmegaConfBaseException, MedsetuError):  # Hydra's own complaint is told by the real one
            as_it_is(verb, words, task=task, folder=folder)
        else:
            task(config)

    monkeypatch.setattr(app, "run_verb", run_verb)

    def run(*words, made="runs"):
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(list(words))
        out, err = capfd.readouterr()
        told = " ".join((out + err).split())
        assert "Traceback" not in told
        written = {path: path.read_bytes() for path in (tmp_path / made).rglob("*") if path.is_file()}
        assert SENTINEL not in told
        assert [path.name for path, content in written.items() if SENTINEL.encode() in content] == []
        return left.value.code, told

    return run


@pytest.fixture
def prepare(own, say):
    """Prepare the folder as a release of its own."""
    return lambda *words: say("prepare", *WORDS, *words)


def text_of(own):
    return (own / "labels.csv").read_text()


def labels(own, change):
    """Change the text of the sheet, or write bytes in its place."""
    new = change(text_of(own))
    (own / "labels.csv").write_bytes(new if isinstance(new, bytes) else new.encode())


def test_sound_films_are_prepared_and_known_the_second_time(prepare):
    code, told = prepare()
    assert code == 0
    assert f"{COUNT} images read" in told
    assert f"{COUNT} analysed" in told
    assert f"{COUNT} images were known from before" in prepare()[1]


# --- sheets as spreadsheets and people write them: the same manifest


def excel(text, *, above=""):
    """Write a sheet as a spreadsheet of another country does: semicolons, a decimal comma, a line that names the separator."""
    frame = pd.read_csv(io.StringIO(text), dtype=str)
    return f"{above}{frame.to_csv(sep=';', index=False).replace('.5;', ',5;')}"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace(", seen", ", ü").encode("latin-1"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: f"Films of 2021\n\nmade by,{SENTINEL}\n{text}",
        excel,
        lambda text: excel(text, above="sep=;\nFilms of 2021;;\n"),
        lambda text: pd.read_csv(io.StringIO(text), dtype=str).to_csv(sep="\t", index=False),
        lambda text: text.replace("films/", "films\\"),
    ],
    ids=["mark", "utf-16", "latin-1", "windows lines", "preamble", "semicolons", "sep=", "tabs", "backslashes"],
)
def test_every_way_of_writing_the_sheet_gives_the_same_manifest(own, prepare, change):
    assert prepare()[0] == 0
    labels(own, change)
    code, told = prepare()
    assert code == 0
    assert "unchanged, the frozen splits are used again" in told


def test_a_workbook_gives_the_same_manifest(own, prepare):
    assert prepare()[0] == 0
    book = openpyxl.Workbook()
    book.active.append(["read me"])
    rows = book.create_sheet("labels")
    for cells in (["Films of 2021"], [], *(line for line in pd.read_csv(own / "labels.csv", header=None, dtype=str).to_numpy().tolist())):
        rows.append(cells)
    book.save(own / "labels.xlsx")
    code, told = prepare("release.labels=labels.xlsx")
    assert (code, "unchanged" in told) == (0, True)


# --- sheets that say too little, too much, or nothing


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (lambda text: text.replace("mass", "masses", 1), 2, ["Column 'mass'", "labels.csv", "Did you mean 'masses'?"]),
        (lambda text: text.partition("\n")[2], 2, ["no row of it looks like names", "labels.csv", "above the rows"]),
        (lambda text: text.replace("patient,age", "age,age", 1), 2, ["Column 'patient'", "Allowed: file, age"]),
        (lambda text: text.replace("age,mass", "mass,mass", 1), 2, ["Column 'age'"]),
        (lambda text: text.replace("note", "mass", 1), 3, ["Two columns bear the name 'mass'", "labels.csv", "name of its own"]),
        (lambda text: text.replace('"', ""), 3, [f"{COUNT} rows have another number of fields", "the first is row 1", "in quotes"]),
        (lambda text: text + '"films/8.png,1\n', 3, ["a quote that is not closed", "labels.csv"]),
        (lambda text: text.replace(",1,", ",maybe,"), 3, ["4 values of column 'mass'", "films/1.png", "finding_columns"]),
        (lambda text: text + text.splitlines()[1] + "\n", 3, ["1 images have more than one row", "row 9", "columns.reader"]),
        (lambda text: text.replace("films/", "../films/"), 3, ["8 rows point outside the image folder", "first is row 1", "root"]),
        (lambda text: text.replace("films/", "C:\\films\\"), 3, ["8 rows point outside the image folder", "prefix"]),
        (lambda text: text.replace(".png", ""), 3, ["None of the 8 rows", "own", "suffix '.png'"]),
        (lambda text: text.replace("films/", ""), 3, ["None of the 8 rows", "root set to its folder 'films'"]),
        (lambda text: text.splitlines()[0] + "\n", 3, ["None of the 0 rows"]),
        (lambda _: b"", 3, ["The sheet is empty", "labels.csv", "again"]),
        (lambda _: bytes(range(1, 256)) * 9, 2, ["labels.csv", "no row of it looks like names"]),
        (lambda text: text.encode("utf-16")[:301], 3, ["letters of another encoding", "labels.csv", "UTF-8"]),
        (lambda text: text + "x" * (sheet._LONGEST + 1), 3, ["cannot be read", "labels.csv"]),
    ],
)
def test_a_wrong_sheet_is_named(own, prepare, change, code, told):
    labels(own, change)
    found, said = prepare()
    assert found == code
    assert [part for part in told if part not in said] == []


def test_rows_for_absent_images_are_left_out_counted_and_listed(own, prepare, tmp_path):
    (own / "films" / "3.png").unlink()
    code, told = prepare()
    assert code == 0
    assert "1 excluded: row without image" in told
    assert "1 rows without image and 0 images without row were left out" in told
    listed = "".join(path.read_text() for path in (tmp_path / "runs" / "work" / "manifest" / "table").glob("*.csv"))
    assert "table/films/3.png" in listed


@pytest.mark.parametrize("word", ["release.columns.image=fil", "release.columns.patient=patients", "release.finding_columns={mass: mas}"])
def test_a_misspelt_column_offers_the_nearest(prepare, word):
    code, told = prepare(word)
    assert code == 2
    assert "Did you mean '" in told


def packed(text):
    return gzip.compress(text.encode())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: packed(text)[:60], "a packed file that ends early"),
        (lambda text: text.encode(), "not packed, though its name says so"),
        (lambda text: packed(text + "\n" * (1 << 16)), "cannot be read"),
    ],
    ids=["cut", "plain", "bomb"],
)
def test_a_packed_sheet_that_is_cut_or_a_bomb_is_named(own, prepare, monkeypatch, change, told):
    monkeypatch.setattr(sheet, "MAX_BYTES", 1 << 15)
    (own / "labels.csv.gz").write_bytes(change(text_of(own)))
    code, said = prepare("release.labels=labels.csv.gz")
    assert code == 3
    assert told in said
    assert "labels.csv.gz" in said


@pytest.mark.parametrize("kind", ["no archive", "bomb", "entity"])
def test_a_workbook_that_is_none_a_bomb_or_declares_entities_is_named(own, prepare, monkeypatch, kind):
    path = own / "labels.xlsx"
    openpyxl.Workbook().save(path)
    if kind == "no archive":
        path.write_bytes(text_of(own).encode())
    elif kind == "bomb":
        monkeypatch.setattr(workbook, "MAX_UNPACKED", 1 << 10)
    else:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("xl/extra.xml", f"<!DOCTYPE a [{LAUGHS}]><a>&a9;</a>")
    code, told = prepare("release.labels=labels.xlsx")
    assert code == 3
    assert {"no archive": "no archive, as a workbook is", "bomb": "unpacks to more", "entity": "without a document type"}[kind] in told
    assert "labels.xlsx" in told


def test_a_sheet_without_permission_is_a_matter_of_resources(own, prepare, monkeypatch):
    opened = type(own).open

    def refuse(path, *args, **kwargs):
        if path.name == "labels.csv":
            raise PermissionError(SENTINEL)
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(type(own), "open", refuse)
    code, told = prepare()
    assert code == 7
    assert "permission" in told


# --- pictures: quarantined with the reason, or refused when too many are


def huge_png():
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1 << 16))) + chunk(b"IEND", b"")


def deflated_bomb():
    data = to_bytes(dataset(np.zeros((8, 8), np.uint16), bits=12), syntax="1.2.840.10008.1.2.1.99")
    (length,) = struct.unpack_from("<I", data, 140)  # of the group before the deflated part
    packer = zlib.compressobj(9, wbits=-15)
    return data[: 144 + length] + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()


def nifti_bomb():
    data = bytearray(nifti(np.zeros((4, 4, 4), np.int16)))
    struct.pack_into("<8h", data, 40, 3, 32000, 32000, 32000, 1, 1, 1, 1)
    return gzip.compress(bytes(data) + bytes(1 << 24))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda _: b"", "an empty file"),
        (lambda data: data[: len(data) // 2], "bytes it cannot decode"),
        (lambda _: SENTINEL.encode() * 99, "another kind of file"),
        (lambda _: huge_png(), "more pixels than any film has"),
        (lambda _: deflated_bomb(), "reader expected"),
        (lambda _: nifti_bomb(), "reader expected"),
        (lambda data: data[:40] + bytes(len(data) - 40), "bytes it cannot decode"),
    ],
    ids=["empty", "cut", "text", "picture bomb", "deflated bomb", "volume bomb", "zeros"],
)
def test_a_film_that_cannot_be_read_is_quarantined_with_its_reason(own, prepare, content, reason):
    path = own / "films" / "2.png"
    path.write_bytes(content(path.read_bytes()))
    code, told = prepare()
    assert code == 0
    assert "1 quarantined" in told
    assert reason in told
    assert f"{COUNT - 1} analysed" in told


def test_too_many_are_refused_and_what_was_read_is_kept(own, prepare, tmp_path):
    sound_film = (own / "films" / "2.png").read_bytes()
    (own / "films" / "2.png").write_bytes(b"")
    code, told = prepare("manifest.max_quarantine=0.05")
    assert code == 3
    assert "1 of 8 files of release 'table' cannot be read (allowed share: 0.05)" in told
    assert "an empty file" in told
    assert "manifest.max_quarantine" in told
    assert "table/films/2.png" in (tmp_path / "runs" / "work" / "manifest" / "table" / "quarantine.csv").read_text()
    (own / "films" / "2.png").write_bytes(sound_film)
    code, told = prepare("manifest.max_quarantine=0.05")
    assert code == 0
    assert "1 images read" in told
    assert "7 known from before" in told


def test_loops_of_links_end(own, prepare):
    (own / "films" / "loop").symlink_to("..", target_is_directory=True)
    (own / "films" / "2.png").unlink()
    (own / "films" / "2.png").symlink_to("2.png")
    code, told = prepare()
    assert code == 0
    assert "1 quarantined" in told
    assert "no file that can be read" in told


def test_a_film_without_permission_is_quarantined(own, prepare, monkeypatch):
    opened = type(own).open

    def refuse(path, *args, **kwargs):
        if path.name == "2.png":
            raise PermissionError(SENTINEL)
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(type(own), "open", refuse)
    code, told = prepare("audit=0")
    assert code == 0
    assert "1 quarantined" in told


def test_folders_that_are_not_there_or_cannot_be_written(own, prepare):
    code, told = prepare("root=nowhere")
    assert code == 3
    assert "nowhere" in told
    code, told = prepare("release.labels=films")
    assert code == 3
    assert "a folder without Pascal VOC files" in told
    code, told = prepare("paths.runs=own/labels.csv")
    assert code == 7
    assert "labels.csv" in told


# --- volumes


@pytest.fixture
def heads(tmp_path, monkeypatch, say):
    """Six small volumes, of which odd ones are folders of slices."""
    monkeypatch.chdir(tmp_path)
    volumes.write(tmp_path / "own", patients=6)
    words = [word for word in WORDS if "columns" not in word]
    keys = ["release.columns.image=file", "release.columns.patient=patient", "release.finding_columns={bleed: bleed}"]
    return lambda: say("prepare", *words, *keys)


def _mix(folder):
    (folder / "x.dcm").write_bytes(series.slice_file(series.head((1, 24, 20))[0], z=200, series="9.9.9"))


def _double(folder):
    (folder / "x.dcm").write_bytes(series.slice_file(series.head((1, 24, 20))[0], z=25, SOPInstanceUID="1.2.9"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / "CT000004.dcm").unlink(), "about 1 missing, the first after slice 6 of 9"),
        (_mix, "series"),
        (lambda folder: (folder / "CT000004.dcm").write_bytes(b""), "reader expected"),
        (_double, "one slice at each place"),
    ],
    ids=["missing", "mixed", "empty", "doubled"],
)
def test_a_broken_series_is_quarantined_with_its_reason(heads, tmp_path, change, reason):
    change(tmp_path / "own" / "p01" / "thin")
    code, told = heads()
    assert code == 0
    assert "1 quarantined" in told
    assert reason in told
    assert "5 analysed" in told


# --- boxes


@pytest.mark.parametrize(
    "text",
    [
        f"<!DOCTYPE a [{LAUGHS}]><annotation><filename>&a9;</filename></annotation>",
        "<annotation><size><width>",
        "",
        f"<annotation><object><name>{SENTINEL}</name></object></annotation>",
    ],
    ids=["entities", "torn", "empty", "no box"],
)
def test_a_broken_file_of_boxes_is_named(own, prepare, text):
    (own / "boxes").mkdir()
    (own / "boxes" / "2.xml").write_text(text)
    code, told = prepare("release.labels=boxes", "release.columns={image: image, patient: null, age: null}")
    assert code == 3
    assert "table/2.xml" in told or "table/boxes/2.xml" in told


@pytest.mark.parametrize(
    "words",
    [
        ("prepare", "release=nitrd", "workers=abc"),
        ("prepare", "release=nitrd", "audit=-1"),
        ("audit", "folder=.", "workers=many"),
        ("deidentify", "in=.", "out=x", "key=k", "workers=-2"),
        ("evaluate", "run=.", "attention=-3"),
    ],
)
def test_verbs_refuse_it_before_they_begin(say, words):
    code, said = say(*words)
    assert code == 2, said
    assert "is not possible" in said
    assert "Traceback" not in said
