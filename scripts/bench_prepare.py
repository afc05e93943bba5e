# SPDX-License-Identifier: Apache-2.0
"""Prepare all real chest films of MEDSETU_DATA from nothing, and print images per second and the share of the cores used.

python scripts/bench_prepare.py [--data FOLDER] [--workers N] [--runs N]
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Run the benchmark; each run starts with an empty work folder."""
    # imported here because every worker imports this file too, and needs none of it
    from medsetu.experiment.prepare import prepare
    from medsetu.manifest.plan import SplitPlan
    from medsetu.manifest.scan import cores
    from medsetu.release.nih_chestxray14 import NihChestXray14
    from medsetu.release.nitrd import Nitrd
    from medsetu.release.tb_chest_radiography_database import TbChestRadiographyDatabase

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDSETU_DATA", "../shared/data")))
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    sides = {
        "global": [
            NihChestXray14(options.data / "nih_chestxray14"),
            TbChestRadiographyDatabase(options.data / "tb_chest_radiography_database"),
        ],
        "local": [Nitrd(options.data / "nitrd_da", part="A")],
    }
    rates, shares = [], []
    for number in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            timed = []
            for _ in range(2):
                begun = time.perf_counter()
                prepared = prepare(sides, plan=SplitPlan(), seed=0, folder=Path(folder), workers=options.workers)
                timed.append((prepared.facts, time.perf_counter() - begun))
        (facts, first), (_, second) = timed
        rates.append(facts["images_per_s"])
        shares.append(facts["cores_used_share"])
        print(
            f"run {number + 1}: {facts['files_read']} images read at {rates[-1]:.0f}/s with {shares[-1]:.0%} of {facts['cores']} cores; "
            f"whole verb {first:.1f} s, again {second:.1f} s; {len(prepared.duplicates)} duplicate pairs"
        )
    print(f"median: {statistics.median(rates):.0f} images/s, {statistics.median(shares):.0%} of the cores, {options.workers} workers")


if __name__ == "__main__":
    main()
