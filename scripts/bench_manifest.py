# SPDX-License-Identifier: Apache-2.0
"""Manifests of many rows: seconds and peak memory of each step, with files that are empty and scan results that are invented.

Left out: the pictures are never opened or hashed, for their results lie in the store already, as after an earlier scan (``bench_prepare``
times that part). All else is real: the listing of the folder, the state of every file, the store, 2 KiB of thumbnail per film (blends
of two real films with noise, so that their hashes are as alike as those of chest films), the pairs, the splits, the frozen files, and a
second start that reads them back.

python -m scripts.bench_manifest [--rows N ...] [--data FOLDER] [--work FOLDER]
"""

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from scripts.bench_duplicates import measured

from medsetu.experiment.prepare import prepare
from medsetu.manifest import build, frozen, leakage, split
from medsetu.manifest.plan import SplitPlan
from medsetu.manifest.scan import Record
from medsetu.manifest.similarity import hash_text, perceptual_hash
from medsetu.manifest.store import ScanStore
from medsetu.release.base import ReleaseIndex, finish_index, image_files

FINDINGS = tuple(f"finding_{number:02d}" for number in range(14))
COPIES = 0.001  # share of rows that are exact copies of the row before, and as many that are near copies
FOLDER = 1000  # files per folder
PATIENT = 5  # films per patient, as in the large chest releases


@dataclass(frozen=True)
class Rows:
    """A release whose labels lie in a table and whose films are empty files."""

    root: Path
    name: str

    @property
    def findings(self) -> tuple[str, ...]:
        """Names of the labels."""
        return FINDINGS

    def index(self) -> ReleaseIndex:
        """List the folder and join the labels."""
        rows = pd.read_parquet(self.root.parent / f"{self.name}.parquet")
        files = image_files(self.root, suffixes=(".png",))
        rows = rows.set_index("path").loc[files].reset_index()
        return finish_index(rows, release=self.name, root=self.root, findings=FINDINGS)


def fill(work: Path, count: int, data: Path) -> None:
    """Write empty files, labels, and a store of scan results."""
    small = np.stack(measured(data, work.parent / "films.npz")["thumbnail"].to_list())
    store = ScanStore(work / "scan")
    rng = np.random.default_rng(0)
    for name, size in {"world": count - count // 10, "clinic": count // 10}.items():
        paths = [f"d{number // FOLDER:04d}/film{number:07d}.png" for number in range(size)]
        for number in range(0, size, FOLDER):
            (work / name / paths[number]).parent.mkdir(parents=True)
        labels = (rng.random((size, len(FINDINGS))) < np.geomspace(0.2, 0.002, len(FINDINGS))).astype(float)
        labels[rng.random(labels.shape) < 0.3] = np.nan
        table = pd.DataFrame(labels, columns=list(FINDINGS)).assign(
            path=paths,
            patient_id=[f"p{name[0]}{number // PATIENT:015x}" for number in range(size)],
            study_id=[f"s{name[0]}{number // 2:015x}" for number in range(size)],
            sex=rng.choice(["F", "M", ""], size),
            age_years=rng.integers(18, 90, size).astype(float),
            site=[f"{name} {number}" for number in rng.integers(0, 3, size)],
            view=rng.choice(["PA", "AP"], size),
        )
        table.to_parquet(work / f"{name}.parquet")
        for start in range(0, size, FOLDER):
            store.add(list(_records(store, work / name, paths[start : start + FOLDER], small, rng)))
    store.flush()


def _records(store: ScanStore, root: Path, paths: list[str], small: np.ndarray, rng: np.random.Generator) -> Iterator[Record]:
    chosen, share = rng.integers(0, len(small), (2, len(paths))), rng.uniform(0.3, 0.7, (len(paths), 1, 1))
    blends = share * small[chosen[0]] + (1 - share) * small[chosen[1]] + rng.normal(0, 0.05, (len(paths), 32, 32))
    facts = {"file_format": "png", "color_mode": "L", "height": 1024, "width": 1024, "bits": 8, "file_bytes": 400_000}
    facts |= {"spacing_mm": float("nan"), "modality": "", "view": "", "laterality": "", "sex": "", "age_years": float("nan")}
    facts |= {"device": "maker model", "depth": 1, "slice_mm": float("nan")}
    digest, before = "", blends[0]
    for path, blend in zip(paths, blends, strict=True):
        (root / path).touch()
        kind = rng.random()
        if kind < 2 * COPIES and digest:
            blend = before if kind < COPIES else before + rng.normal(0, 0.002, (32, 32))
        digest = digest if kind < COPIES and digest else rng.bytes(32).hex()
        picture, before = blend.astype(np.float16), blend
        yield Record(store.key(root / path), f"x/{path}", "", digest, hash_text(perceptual_hash(picture)), picture.tobytes(), facts, 0.001)


def peak() -> float:
    """Largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


@contextmanager
def timed(steps: dict[str, Any]) -> Iterator[None]:
    """Note seconds of the processor and the peak after each step."""

    def watch(name: str, call: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(call)
        def run(*args: object, **options: object) -> object:
            begun = time.process_time()
            result = call(*args, **options)
            seconds = steps.get(name, (0, 0))[0] + time.process_time() - begun
            steps[name] = (round(seconds, 1), round(peak()))
            return result

        return run

    places = {
        "index": (build, "_index"),
        "survey": (build, "survey"),
        "pairs": (leakage, "find_pairs"),
        "settle": (leakage, "settle"),
        "splits": (split, "draw"),
        "check": (leakage, "check_overlap"),
        "fingerprint": (build, "fingerprint"),
        "freeze": (frozen, "save"),
        "read back": (frozen, "load"),
    }
    with ExitStack() as patches:
        for label, (module, name) in places.items():
            patches.enter_context(mock.patch.object(module, name, watch(label, getattr(module, name))))
        yield


def child(work: Path) -> None:
    """Prepare once, and tell what it took."""
    sides = {"global": [Rows(work / "world", "world")], "local": [Rows(work / "clinic", "clinic")]}
    steps: dict[str, Any] = {}
    empty, begun, used = peak(), time.perf_counter(), time.process_time()
    with timed(steps):
        done = prepare(sides, plan=SplitPlan(), seed=0, folder=work / "frozen", cache=work / "scan", workers=1)
    told = {"seconds": round(time.perf_counter() - begun, 1), "cpu_s": round(time.process_time() - used, 1), "peak_mb": round(peak())}
    told |= {"empty_mb": round(empty), "reused": done.facts["reused"], "opened": done.facts["files_read"], "kept": len(done.manifest)}
    print(json.dumps(told | {"pairs": len(done.duplicates), "fingerprint": done.fingerprint[:12], "steps": steps}))


def main() -> None:
    """Fill and prepare, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDSETU_DATA", "../shared/data")))
    parser.add_argument("--work", type=Path, help="keeps what was filled")
    parser.add_argument("--child", choices=("fill", "prepare"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child == "fill":
        return fill(options.work, options.rows[0], options.data)
    if options.child:
        return child(options.work)
    with tempfile.TemporaryDirectory() as temporary:
        for count in options.rows:
            work = (options.work or Path(temporary)) / str(count)
            again = [sys.executable, "-m", "scripts.bench_manifest", "--rows", str(count), "--work", str(work), "--data", str(options.data)]
            if not work.is_dir():
                subprocess.run([*again, "--child", "fill"], check=True)
            for label in ("first", "again"):
                out = subprocess.run([*again, "--child", "prepare"], check=True, capture_output=True, text=True).stdout
                told = json.loads(out.splitlines()[-1])
                steps = "; ".join(f"{name} {seconds} s, {memory} MB" for name, (seconds, memory) in told.pop("steps").items())
                print(f"{count} rows, {label}: {told}\n    {steps}", flush=True)
    return None


if __name__ == "__main__":
    main()
