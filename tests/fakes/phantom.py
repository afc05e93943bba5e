# SPDX-License-Identifier: Apache-2.0
"""A tiny phantom: the release itself writes it; only the sentinel patient is planted here."""

from pathlib import Path

import pydicom

from fakes.film import SENTINEL
from medsetu.release.phantom import Phantom


def write(root: Path, *, patients=24, seed=0, country="global", size=64, sentinel=True) -> Path:
    """Write a phantom of about two films per patient; with ``sentinel`` the first film carries the name that nothing may ever repeat.

    ``Phantom(root, country=country, patients=patients, seed=seed, size=size)`` accepts the folder.
    """
    release = Phantom(root, country=country, patients=patients, seed=seed, size=size)
    first = root / release.index().samples["path"].iloc[0]
    if sentinel:
        film = pydicom.dcmread(first)
        film.PatientName = SENTINEL
        film.save_as(first)
    return root
