# SPDX-License-Identifier: Apache-2.0
"""Sound files of every format that medsetu reads, small and seeded; ``scripts/damage.py`` breaks them."""

import gzip
import io
import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # the fakes write the sound files that are damaged here

Random = np.random.Generator
SENTINEL = "ZZ^SENTINEL"
VOC = (
    "<annotation><size><width>9</width><height>9</height></size><object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
    "<xmax>4</xmax><ymax>5</ymax></bndbox></object></annotation>"
)
SHEET = f'id,finding,note\r\nfilm-1,"mass, left",{SENTINEL}\r\nfilm-2,,"a ""quoted"" word"\r\n'


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _pictures(rng: Random) -> dict[str, bytes]:
    grey, rgb = rng.integers(0, 4096, (48, 64), dtype=np.uint16), rng.integers(0, 256, (16, 20, 3), dtype=np.uint8)
    colour = Image.fromarray(rgb)
    return {
        "png": _saved(colour, "PNG"),
        "png16": _saved(Image.fromarray(grey), "PNG"),
        "png palette": _saved(colour.quantize(16), "PNG"),
        "tiff": _saved(colour, "TIFF"),
        "tiff packed": _saved(Image.fromarray(grey), "TIFF", compression="tiff_adobe_deflate"),
        "tiff lzw": _saved(colour, "TIFF", compression="tiff_lzw"),
        "jpeg": _saved(colour, "JPEG"),
        "pgm": b"P5 8 8 255\n" + bytes(range(64)),
        "pgm plain": b"P2\n# a comment\n8 8 255\n" + " ".join(map(str, range(64))).encode(),
        "mask": _saved(Image.fromarray(grey // 1024), "PNG"),
    }


def _dicoms(rng: Random) -> dict[str, bytes]:
    from pydicom import uid

    from fakes.dicom import dataset, lut, to_bytes
    from fakes.segmentation import segmentation
    from fakes.series import enhanced, head, slice_file, ultrasound

    grey, film = rng.integers(0, 4096, (48, 64), dtype=np.uint16), rng.integers(0, 256, (3, 16, 20, 3), dtype=np.uint8)
    segments = np.zeros((4, 6, 8), np.uint8)
    segments[1:3, 2:4] = 1
    syntaxes = {
        "implicit": uid.ImplicitVRLittleEndian,
        "big endian": uid.ExplicitVRBigEndian,
        "deflated": uid.DeflatedExplicitVRLittleEndian,
        "rle": uid.RLELossless,
        "jpeg2000": uid.JPEG2000Lossless,
        "jpeg lossless": uid.JPEGLosslessSV1,
        "jpeg-ls": uid.JPEGLSLossless,
    }
    return {
        "dicom ct": slice_file(head()[0], z=1.0),
        "dicom series": slice_file(head()[2], z=15.0),
        "dicom enhanced": enhanced(head()),
        "dicom ultrasound": ultrasound(film),
        "dicom voi": to_bytes(dataset(grey, bits=12, VOILUTSequence=lut(list(range(256)), first=0, bits=8))),
        "dicom seg": segmentation({1: ("bleed", segments)}, [(1, depth) for depth in range(4)]),
    } | {f"dicom {name}": to_bytes(dataset(grey, bits=12), syntax) for name, syntax in syntaxes.items()}


def _scans() -> dict[str, bytes]:
    from fakes.nifti import nifti, nifti2, packed
    from fakes.series import head

    scan, labels = nifti(head(), sform=np.eye(4), qform=(0, 0, 0, 0, 0, 0)), nifti((head() % 3).astype(np.uint8), sform=np.eye(4))
    return {"nifti": scan, "nifti gz": packed(scan), "nifti2": nifti2(head(), sform=np.eye(4)), "nifti labels": packed(labels)}


def _notes() -> dict[str, bytes]:
    shapes = [
        {"image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3], "segmentation": {"size": [9, 9], "counts": [10, 3, 68]}},
        {"image_id": 1, "category_id": 1, "segmentation": {"size": [9, 9], "counts": ":3T2"}},
        {"image_id": 1, "category_id": 1, "segmentation": [[1, 1, 3, 1, 3, 4, 1, 4]]},
    ]
    image = {"id": 1, "file_name": "a.png", "height": 9, "width": 9}
    coco = {"categories": [{"id": 1, "name": "a"}], "images": [image], "annotations": shapes}
    return {
        "json coco": json.dumps(coco).encode(),
        "json": json.dumps([{"image": "a.png", "box": [1, 2, 3, 4]}]).encode(),
        "json sidecar": json.dumps({"Manufacturer": "Siemens", "ManufacturersModelName": "Vida"}).encode(),
        "xml voc": VOC.encode(),
        "rle": b"1 3 10 3 19 3",
    }


def _sheets() -> dict[str, bytes]:
    import openpyxl

    book, buffer = openpyxl.Workbook(), io.BytesIO()
    for row in (["a note above the head"], ["id", "finding", "note"], ["film-1", "mass", SENTINEL], ["film-2", None, 3]):
        book.worksheets[0].append(row)
    book.save(buffer)
    return {
        "csv": SHEET.encode(),
        "csv utf-16": SHEET.encode("utf-16"),
        "csv gz": gzip.compress(SHEET.encode(), mtime=0),
        "csv table": SHEET.encode("utf-8-sig"),
        "xlsx": buffer.getvalue(),
    }


def _packed_arrays(rng: Random) -> dict[str, bytes]:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=rng.integers(0, 256, (3, 16, 20), dtype=np.uint8))
    return {"zip of arrays": buffer.getvalue()}


@cache
def sound() -> dict[str, bytes]:
    """Sound files by kind."""
    rng = np.random.default_rng(0)
    return _pictures(rng) | _dicoms(rng) | _scans() | _notes() | _sheets() | _packed_arrays(rng)
