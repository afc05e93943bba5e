# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

import medsetu
from medsetu.core.errors import ConfigError
from medsetu.data import pipeline as module
from medsetu.data.intensity import Equalise, Percentile
from medsetu.data.pipeline import Pipeline


def test_cache_sees_changes_of_every_setting() -> None:  # T35
    pipelines = [
        Pipeline((16, 16)),
        Pipeline((16, 17)),
        Pipeline((16, 16), fit="crop"),
        Pipeline((16, 16), storage="uint8"),
        Pipeline((16, 16), intensity=(Percentile(),)),
        Pipeline((16, 16), intensity=(Percentile(lower=0.0),)),
        Pipeline((16, 16), intensity=(Percentile(), Equalise())),
        Pipeline((16, 16), intensity=(Equalise(), Percentile())),
    ]
    assert len({pipeline.key for pipeline in pipelines}) == len(pipelines)
    assert Pipeline((16, 16)).key == Pipeline((16, 16)).key


@pytest.mark.parametrize("library", ["monai", "torch", "pillow", "pydicom"])
def test_cache_sees_library_versions(library: str, monkeypatch: pytest.MonkeyPatch) -> None:  # T35
    before = Pipeline((8, 8)).key
    real = module.metadata.version
    monkeypatch.setattr(module.metadata, "version", lambda name: "9.9.9" if name == library else real(name))
    assert Pipeline((8, 8)).key != before


def test_cache_sees_its_own_version(monkeypatch: pytest.MonkeyPatch) -> None:  # T35
    before = Pipeline((8, 8)).key
    monkeypatch.setattr(medsetu, "__version__", "9.9.9")
    assert Pipeline((8, 8)).key != before


def test_cache_sees_program_text(monkeypatch: pytest.MonkeyPatch) -> None:  # T35: nobody bumps a number by hand
    before = Pipeline((8, 8)).key
    monkeypatch.setattr(module, "_code_hash", lambda: "other")
    assert Pipeline((8, 8)).key != before


@pytest.mark.parametrize(("storage", "step"), [("uint8", 1 / 255), ("uint16", 1 / 65535), ("float16", 2**-11)])
def test_storage_is_within_half_a_step(storage: str, step: float) -> None:
    pixels = np.linspace(0, 1, 1001, dtype=np.float32)
    pipeline = Pipeline((1, 1), storage=storage)
    stored = pipeline.encode(pixels)
    assert stored.dtype == storage
    assert np.abs(stored.astype(np.float64) * pipeline.scale - pixels).max() <= step * 0.51


@pytest.mark.parametrize("wrong", [{"fit": "pads"}, {"storage": "int8"}])
def test_unknown_values_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=r"Did you mean|Allowed"):
        Pipeline((8, 8), **wrong)
