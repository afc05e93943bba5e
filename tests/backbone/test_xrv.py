# SPDX-License-Identifier: Apache-2.0
"""torchxrayvision: its convention, its head by name, none of its side effects."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from medsetu.backbone.xrv import XrvBackbone, import_innocently
from medsetu.core.errors import ConfigError, ResourceError, WeightError

pytest.importorskip("skimage", reason="torchxrayvision is not installed")

INNOCENT = """
import random, warnings
import numpy as np, torch
before = list(warnings.filters), random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
from medsetu.backbone.xrv import XrvBackbone
XrvBackbone(size=32).build(["mass"], seed=0)
after = list(warnings.filters), random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
raise SystemExit(before != after)
"""


def test_imports_are_innocent() -> None:
    """T36: in a fresh process import and building leave warning filters and global generators as they were."""
    assert subprocess.run([sys.executable, "-c", INNOCENT], check=False).returncode == 0


def test_the_intensity_convention_is_the_librarys() -> None:
    utils = import_innocently().utils
    pixels = np.array([[[0, 100, 255]]], dtype=np.float32)
    spec = XrvBackbone().taught()
    ours = spec.normalise(torch.from_numpy(pixels / 255))
    np.testing.assert_allclose(ours.numpy(), utils.normalize(pixels, 255), atol=1e-2)
    assert spec.size == (224, 224)


@pytest.fixture(params=[True, False], ids=["zip", "old format"])
def published(request, tmp_path, monkeypatch) -> tuple[str, torch.nn.Module]:
    """A whole module in torch.hub's cache, as the library publishes it; its digest and the module."""
    library = import_innocently()
    with torch.random.fork_rng(devices=[]):
        model = library.models.DenseNet(op_threshs=torch.rand(18))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / Path(XrvBackbone(weights="densenet121-res224-nih").published().place).name
    path.parent.mkdir(parents=True)
    torch.save(model, path, _use_new_zipfile_serialization=request.param)
    return hashlib.sha256(path.read_bytes()).hexdigest(), model.eval()


def test_downloads_are_verified_and_heads_keep_their_names(published) -> None:
    """T32 and T07: the digest must be pinned; named rows are kept, slots without a name were never trained."""
    digest, model = published
    with pytest.raises(WeightError, match=digest):
        XrvBackbone(weights="densenet121-res224-nih").build(["mass"], seed=0)
    backbone = XrvBackbone(weights="densenet121-res224-nih", sha256=digest, size=64)
    network = backbone.build(["tuberculosis", "mass", "lung_opacity", "pleural_thickening"], seed=0).eval()
    assert network.trained == ("mass", "pleural_thickening")
    targets = model.targets
    image = torch.rand(2, 1, 64, 64) * 2048 - 1024
    logits = model.classifier(model.features2(image))
    torch.testing.assert_close(network(image)[:, 1], logits[:, targets.index("Mass")], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network(image)[:, 3], logits[:, targets.index("Pleural_Thickening")], rtol=1e-4, atol=1e-4)
    assert network.weights.trained_on == ("nih_chestxray14",)


def test_untrained_slots_of_the_resnet_have_no_row() -> None:
    backbone = XrvBackbone("resnet50", weights="pretrained")
    rows = backbone.rows({"fc.weight": torch.zeros(18, 4), "fc.bias": torch.zeros(18)})
    assert "lung_lesion" not in rows
    assert "effusion" in rows
    assert len(rows) == 16
    assert XrvBackbone("resnet50", weights="file:x.pt").rows({"fc.weight": torch.zeros(18, 4), "fc.bias": torch.zeros(18)}) == {}


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (XrvBackbone("densnet121"), "Did you mean 'densenet121'"),
        (XrvBackbone(weights="densenet121-res224-nhi"), "Did you mean 'densenet121-res224-nih'"),
        (XrvBackbone(weights="resnet50-res512-all"), "no weights 'resnet50-res512-all'"),
    ],
)
def test_misspelt_names_offer_the_nearest(backbone, message) -> None:
    with pytest.raises(ConfigError, match=message):
        backbone.build(["mass"], seed=0)


def test_a_missing_package_names_the_install_line(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchxrayvision", None)
    with pytest.raises(ResourceError, match=r"pip install 'medsetu\[xrv\]'"):
        XrvBackbone().build(["mass"], seed=0)
