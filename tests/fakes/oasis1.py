# SPDX-License-Identifier: Apache-2.0
"""A tiny OASIS-1 in BIDS: second sessions, several runs, blank ratings of the young, a derivative that must stay out."""

import json
from pathlib import Path

import numpy as np

from fakes.dicom import SENTINEL
from fakes.nifti import nifti, packed


def brain(rng: np.random.Generator, *, large: bool) -> bytes:
    """Write a brain whose ventricles are large where it is ill."""
    axes = np.ix_(*(np.linspace(-1, 1, size) for size in (18, 22, 16)))
    half = rng.uniform((0.7, 0.75, 0.7), (0.95, 0.98, 0.95))
    radius = np.sqrt(sum((axis / side) ** 2 for axis, side in zip(axes, half, strict=True)))
    scan = np.where(radius < 1, 600.0, 20.0) + rng.normal(0, 25, radius.shape)
    scan = np.where(radius < (0.45 if large else 0.25), 150.0, scan)
    spots = [sum((axis - middle) ** 2 for axis, middle in zip(axes, rng.uniform(-0.6, 0.6, 3), strict=True)) < 0.06 for _ in range(6)]
    scan = np.where(np.any(spots, axis=0), 900.0, scan)
    return packed(nifti(np.clip(scan, 0, None).astype(np.int16), sform=np.diag([1.0, 1, 1.25, 1]), pixdim=(1, 1, 1, 1.25)))


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write 2 * per_class people, of whom odd ones are demented, and two young ones without rating; the first came twice."""
    del brightness
    sidecar = json.dumps({"Manufacturer": "Siemens", "ManufacturersModelName": "Vision", "X": SENTINEL})
    rng = np.random.default_rng(seed)
    lines = ["participant_id\tsex\tage\tcdr"]
    for number in range(2 * per_class + 2):
        rated, ill = number < 2 * per_class, number % 2 == 1
        subject = f"OASIS1{number:04d}"
        cdr = ("0.5" if number % 4 == 1 else "1") if ill else "0"
        lines.append(f"sub-{subject}\t{'FM'[number % 2]}\t{60 + number if rated else 21}\t{cdr if rated else 'n/a'}")
        for session in ("M000", "M001") if number == 0 else ("M000",):
            folder = root / f"sub-{subject}" / f"ses-{session}" / "anat"
            folder.mkdir(parents=True)
            for run in (1, 2) if number == 1 else (1,):
                stem = f"sub-{subject}_ses-{session}_run-{run}_T1w"
                (folder / f"{stem}.nii.gz").write_bytes(brain(rng, large=rated and ill))
                (folder / f"{stem}.json").write_text(sidecar)
    derived = root / "derivatives" / "masked" / "sub-OASIS10000" / "anat"
    derived.mkdir(parents=True)
    (derived / "sub-OASIS10000_T1w.nii.gz").write_bytes(brain(rng, large=False))
    (root / "participants.tsv").write_text("\n".join([*lines, f"sub-OASIS19999\tF\t{SENTINEL}\t0"]) + "\n")
    return root
