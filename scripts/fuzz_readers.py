# SPDX-License-Identifier: Apache-2.0
"""Feed the readers damaged files: each must be read or refused by a DataError, in bounded time and memory, and none may end its process.

Run from the root: ``python -m scripts.fuzz_readers --count 20000``. A file that kills, hangs or escapes is counted and its seed printed, so
that it can be made again.
"""

import argparse
import io
import json
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the fakes write the sound files that are damaged here

from medsetu.core.errors import DataError  # noqa: E402
from medsetu.reader.annotation import read_json  # noqa: E402
from medsetu.reader.coco import read_coco  # noqa: E402
from medsetu.reader.mask import read_codes  # noqa: E402
from medsetu.reader.sample import read_sample  # noqa: E402
from medsetu.reader.segmentation import read_segmentation  # noqa: E402
from medsetu.reader.voc import read_voc  # noqa: E402

SECONDS = 20  # per file, on a busy machine
BYTES = 4 << 30  # address space of a worker
BATCH = 500
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)
VOC = "<annotation><size><width>9</width><height>9</height></size><object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin>\
<xmax>4</xmax><ymax>5</ymax></bndbox></object></annotation>"


@cache
def sound() -> dict[str, bytes]:
    """Sound files by kind."""
    from pydicom import uid

    from fakes.dicom import dataset, lut, to_bytes
    from fakes.nifti import nifti, packed
    from fakes.segmentation import segmentation
    from fakes.series import enhanced, head, slice_file, ultrasound

    rng = np.random.default_rng(0)
    grey = rng.integers(0, 4096, (48, 64), dtype=np.uint16)
    rgb = rng.integers(0, 256, (3, 16, 20, 3), dtype=np.uint8)
    scan = nifti(head(), sform=np.eye(4), qform=(0, 0, 0, 0, 0, 0))
    files = {
        "nifti": scan,
        "nifti.gz": packed(scan),
        "ct": slice_file(head()[0], z=1.0),
        "enhanced": enhanced(head()),
        "ultrasound": ultrasound(rgb),
        "voi": to_bytes(dataset(grey, bits=12, VOILUTSequence=lut(list(range(256)), first=0, bits=8))),
    }
    syntaxes = {"rle": uid.RLELossless, "j2k": uid.JPEG2000Lossless, "implicit": uid.ImplicitVRLittleEndian}
    syntaxes["deflated"] = uid.DeflatedExplicitVRLittleEndian
    files |= {name: to_bytes(dataset(grey, bits=12), syntax) for name, syntax in syntaxes.items()}
    for kind in ("PNG", "JPEG", "TIFF"):
        buffer = io.BytesIO()
        Image.fromarray(rgb[0]).save(buffer, kind)
        files[kind.lower()] = buffer.getvalue()
    files["pgm"] = b"P5 8 8 255\n" + bytes(range(64))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=rgb[..., 0])
    files["npz"] = buffer.getvalue()
    shape = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3], "segmentation": {"size": [9, 9], "counts": [10, 3, 68]}}
    image = {"id": 1, "file_name": "a.png", "height": 9, "width": 9}
    coco = {"categories": [{"id": 1, "name": "a"}], "images": [image], "annotations": [shape]}
    files["coco"] = json.dumps(coco).encode()
    files["json"] = json.dumps([{"image": "a.png", "box": [1, 2, 3, 4]}]).encode()
    files["voc"] = VOC.encode()
    buffer = io.BytesIO()
    Image.fromarray(grey // 1024).save(buffer, "PNG")
    files["mask"] = buffer.getvalue()
    segments = np.zeros((4, 6, 8), np.uint8)
    segments[1:3, 2:4] = 1
    files["segmentation"] = segmentation({1: ("bleed", segments)}, [(1, depth) for depth in range(4)])
    return files


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Change some bytes, set some to extremes, cut the end, cut a piece out, or double one."""
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        place, length = int(rng.integers(len(found) or 1)), int(rng.integers(1, 9))
        kind = rng.integers(6)
        if kind == 0:
            found[place : place + length] = rng.bytes(length)
        elif kind == 1:
            found[place : place + length] = bytes([EXTREMES[int(rng.integers(len(EXTREMES)))]]) * length
        elif kind == 2:
            del found[place:]
        elif kind == 3:
            del found[place : place + int(rng.integers(1, 200))]
        elif kind == 4:
            found[place:place] = found[place : place + int(rng.integers(1, 200))]
        elif place < len(found):
            found[place] ^= 1 << int(rng.integers(8))
    return bytes(found)


def read(kind: str, data: bytes, folder: Path) -> None:
    """Read a file of a kind with its reader."""
    readers: dict[str, Callable[[bytes], object]] = {
        "coco": read_coco,
        "json": lambda found: read_json(found, keys={"image": "image", "box": "box"}, form="corner"),
        "voc": read_voc,
        "mask": read_codes,
        "segmentation": read_segmentation,
    }
    if kind in readers:
        readers[kind](data)
        return
    path = folder / ("sample.npz" if kind == "npz" else "sample")
    path.write_bytes(data)
    read_sample(path / "images/1" if kind == "npz" else path)


def feed(number: int, folder: Path) -> tuple[str, str]:
    """Damage one file and read it.

    Returns:
        Kind, and ``read``, ``refused``, or the name of what escaped.
    """
    rng = np.random.default_rng(number)
    kind = sorted(sound())[number % len(sound())]
    try:
        read(kind, damage(sound()[kind], rng), folder)
    except DataError:
        return kind, "refused"
    except Exception as error:  # noqa: BLE001  (what escapes is what this script looks for)
        return kind, f"escaped: {type(error).__name__}"
    return kind, "read"


def _late(*_: object) -> None:
    raise TimeoutError  # an OSError: the readers would call it a refusal, so the parent also measures the time


def _work(first: int, last: int, pipe: "multiprocessing.connection.Connection") -> None:
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    signal.signal(signal.SIGALRM, _late)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            signal.alarm(SECONDS)
            begun = time.monotonic()
            kind, fate = feed(number, Path(folder))
            signal.alarm(0)
            pipe.send((number, kind, "hung" if time.monotonic() - begun > SECONDS else fate))


def main() -> int:
    """Damage and read files; exit 1 when one killed, hung or escaped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    fates: Counter[tuple[str, str]] = Counter()
    bad: list[str] = []
    begun, number, last = time.monotonic(), options.first, options.first + options.count
    while number < last:
        mine, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(number, min(number + BATCH, last), theirs))
        worker.start()
        theirs.close()
        while True:
            try:
                number, kind, fate = mine.recv()
            except EOFError:
                break
            fates[kind, fate] += 1
            bad += [f"{number} ({kind}): {fate}"] if fate not in ("read", "refused") else []
            number += 1
        worker.join()
        if worker.exitcode != 0:
            bad.append(f"{number}: ended its process with {worker.exitcode}")
            number += 1
    for kind in sorted({kind for kind, _ in fates}):
        print(f"{kind:14}", {fate: count for (other, fate), count in sorted(fates.items()) if other == kind})
    print(f"{options.count} files in {time.monotonic() - begun:.0f} s, {len(bad)} that killed, hung or escaped", *bad[:20], sep="\n  ")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
