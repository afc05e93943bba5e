# SPDX-License-Identifier: Apache-2.0
"""From DICOM to the cache of prepared images: images per second, and the share of the cores that the workers keep busy.

Real films of MEDSETU_DATA/dicom are written in several transfer syntaxes, each many times under a new SOP Instance UID, into a temporary
folder; then the cache is built from nothing. The share is the time in which a worker ran, or stood ready while another program had the
core (Linux: /proc/PID/schedstat), of all the time from the first worker to the last: what it would be on a machine of one's own. Imports
are left out: a training that opens a cache has done them before.

python -m scripts.bench_cache [--data FOLDER] [--films N] [--workers N] [--size PIXELS] [--runs N]
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import gdcm
import numpy as np
import pandas as pd
import pydicom
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, RLELossless, generate_uid

from medsetu.core.worker import cores
from medsetu.manifest.survey import survey
from medsetu.reader.sample import sample_digest

# torch and what needs it is imported by main: the workers of a survey import this file too
if TYPE_CHECKING:
    from medsetu.data.prepare import Source

FILMS = ("RG3_J2KR.dcm", "693_UNCI.dcm")
SYNTAXES = (ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless, JPEGLosslessSV1)
EVERY = 0.02  # seconds between two looks at the workers


def refuse(step: str) -> NoReturn:
    """End when a film cannot be written in a syntax."""
    message = f"gdcm cannot {step} a film"
    raise SystemExit(message)


def encoded(film: Path, syntax: UID, folder: Path) -> pydicom.Dataset:
    """Write a film in a transfer syntax."""
    data = pydicom.dcmread(film)
    if data.file_meta.TransferSyntaxUID.is_compressed:
        data.decompress(generate_instance_uid=False)
    if syntax == JPEGLosslessSV1:
        plain, packed = folder / "plain.dcm", folder / "packed.dcm"
        data.save_as(plain)
        reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(str(plain))
        if not reader.Read():
            refuse("read")
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        if not change.Change():
            refuse("encode")
        writer.SetFileName(str(packed))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()
        data = pydicom.dcmread(packed)
        plain.unlink()
    elif syntax != ExplicitVRLittleEndian:
        data.compress(syntax, generate_instance_uid=False)
    return data


def write(data: Path, folder: Path, films: int) -> "list[Source]":
    """Write all films, the kinds in turn."""
    from medsetu.data.prepare import Source

    kinds = [encoded(data / "dicom" / name, syntax, folder) for name in FILMS for syntax in SYNTAXES]
    sources = []
    for number in range(films):
        film = kinds[number % len(kinds)]
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
        path = folder / f"{number:05d}.dcm"
        film.save_as(path, enforce_file_format=True)
        sources.append(Source(f"film/{number}", path, sample_digest(path)))
    return sources


def ran(process: int) -> tuple[float, float]:
    """Seconds in which a process ran, and in which it waited for a core."""
    times = [(name / "schedstat").read_text().split() for name in Path(f"/proc/{process}/task").iterdir()]
    return sum(int(one[0]) for one in times) / 1e9, sum(int(one[1]) for one in times) / 1e9


@contextmanager
def watched(workers: dict[int, tuple[float, float]]) -> Iterator[None]:
    """Look at the children of this process until the end."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(EVERY):
            for task in Path("/proc/self/task").iterdir():
                with suppress(OSError):  # a thread or a worker may just have ended
                    for child in (task / "children").read_text().split():
                        workers[int(child)] = ran(int(child))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def main() -> None:
    """Build the cache some times."""
    import medsetu.data.transform  # noqa: F401 - before the clock starts
    from medsetu.data import cache
    from medsetu.data.pipeline import Pipeline

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDSETU_DATA", "../shared/data")))
    parser.add_argument("--films", type=int, default=480)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    pipeline = Pipeline((options.size, options.size))
    rates, shares = [], []
    with tempfile.TemporaryDirectory() as temporary:
        films = Path(temporary) / "films"
        films.mkdir()
        sources = write(options.data, films, options.films)
        for number in range(options.runs):
            workers: dict[int, tuple[float, float]] = {}
            begun = time.perf_counter()
            own = time.process_time()
            with watched(workers):
                images = cache.open_images(
                    sources, pipeline, folder=Path(temporary) / f"cache{number}", workers=options.workers, memory_limit_gib=0
                )
            seconds = time.perf_counter() - begun
            own = time.process_time() - own
            ready = np.array(sorted(workers.values(), key=sum)[-options.workers :])
            shares.append(float(ready.sum() / seconds / options.workers))
            rates.append(len(images) / float(ready[:, 0].sum()))
            print(
                f"run {number + 1}: {len(images)} films in {seconds:.1f} s; workers ran {ready[:, 0].sum():.1f} s and stood ready "
                f"{ready[:, 1].sum():.1f} s; this process ran {own:.1f} s; {shares[-1]:.1%} of {options.workers} cores"
            )
        rows = pd.DataFrame({"sample_id": [source.sample_id for source in sources], "root": str(films)})
        speed = survey(rows.assign(path=[source.path.name for source in sources]), workers=options.workers, cache=None)[2]
    print(f"prepare opens them at {speed['images_per_s']:.0f}/s, its readers at work in {speed['cores_used_share']:.1%} of {cores()} cores")
    told = f"median: {statistics.median(rates):.1f} films per second of one core"
    print(f"{told}, {statistics.median(shares):.1%} of {options.workers} cores kept busy")


if __name__ == "__main__":
    main()
