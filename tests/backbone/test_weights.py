# SPDX-License-Identifier: Apache-2.0
"""Saving and loading: exact, plain, verified, never half."""

import errno
import hashlib
import json
import os

import pytest
import safetensors
import torch

from medsetu.backbone.spec import WeightSpec
from medsetu.backbone.weights import LoadReport, compare, load_weights, save_weights
from medsetu.core.errors import ResourceError, WeightError

FINDINGS = ("effusion", "mass")


@pytest.fixture
def saved(tiny, tmp_path):
    network = tiny().build(FINDINGS, seed=0)
    network.mark_trained(["mass"])
    network.trunk.norm.running_mean += 1
    path = tmp_path / "weights.safetensors"
    return network, path, save_weights(network, path)


def test_a_saved_network_comes_back(tiny, saved) -> None:
    network, path, digest = saved
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    twin = tiny().build(FINDINGS, seed=1)
    report = load_weights(twin, path, sha256=digest)
    assert report.share == 1
    assert report.reinitialised == ()
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in twin.state_dict().items())
    assert twin.trained == ("mass",)
    assert twin.weights == network.weights


def test_same_network_same_bytes(saved, tmp_path) -> None:
    network, path, digest = saved
    assert save_weights(network.to(memory_format=torch.channels_last), tmp_path / "again.safetensors") == digest
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_heads_are_aligned_in_files(tiny, saved) -> None:
    """T03: rows are loaded by name; another set of names is refused."""
    network, path, _ = saved
    twin = tiny().build(FINDINGS[::-1], seed=1)
    load_weights(twin, path)
    assert torch.equal(twin.head.weight, network.head.weight.flip(0))
    for findings in (["effusion"], ["effusion", "mass", "nodule"], ["effusion", "nodule"]):
        with pytest.raises(WeightError, match="heads differ"):
            load_weights(tiny().build(findings, seed=1), path)


def test_weights_report_mismatch(tiny, saved) -> None:
    """T06: a head that differs is named and only left out when asked for; another trunk is refused and nothing is changed."""
    network, path, _ = saved
    other = tiny().build(["tuberculosis"], seed=1)
    before = other.head.weight.detach().clone()
    report = load_weights(other, path, include_head=False)
    assert report.reinitialised == ("tuberculosis",)
    assert torch.equal(other.head.weight, before)
    assert torch.equal(other.trunk.conv.weight, network.trunk.conv.weight)
    wide = tiny(width=7).build(FINDINGS, seed=1)
    before = {name: tensor.clone() for name, tensor in wide.state_dict().items()}
    with pytest.raises(WeightError, match=r"0 tensors matched, 6 of another shape \(first: conv\.weight"):
        load_weights(wide, path, include_head=False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in wide.state_dict().items())


def test_a_partial_load_must_be_wanted(tiny, saved) -> None:
    network, path, _ = saved
    other = tiny().build(FINDINGS, seed=1)
    other.trunk.extra = torch.nn.Linear(1, 1, bias=False)
    with pytest.raises(WeightError, match=r"1 missing \(first: extra\.weight\)"):
        load_weights(other, path)
    report = load_weights(other, path, minimum_share=0.8)
    assert report.missing == ("extra.weight",)
    assert torch.equal(other.trunk.conv.weight, network.trunk.conv.weight)


def test_checkpoint_is_plain(saved) -> None:
    """T31: float32 tensors and one JSON note; nothing is pickled."""
    _, path, _ = saved
    with safetensors.safe_open(path, "pt") as file:
        note = json.loads(file.metadata()["medsetu"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    assert note["findings"] == list(FINDINGS)
    assert note["spec"]["channels"] == 1
    assert note["weights"]["origin"] == "scratch"
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32, torch.int64}


def test_half_precision_is_saved_as_float(tiny, tmp_path) -> None:
    network = tiny().build(FINDINGS, seed=0).bfloat16()
    save_weights(network, tmp_path / "half.safetensors")
    twin = tiny().build(FINDINGS, seed=1)
    load_weights(twin, tmp_path / "half.safetensors")
    assert torch.equal(twin.head.weight, network.head.weight.float())


@pytest.mark.parametrize("sidecar", [True, False])
@pytest.mark.parametrize("where", [0.05, 0.3, 0.6, 0.999])
def test_a_flipped_byte_is_refused(tiny, saved, sidecar, where) -> None:
    """T32: with the digest beside the file, and without it by the one in the header."""
    _, path, _ = saved
    data = bytearray(path.read_bytes())
    data[int(len(data) * where)] ^= 1
    path.write_bytes(bytes(data))
    if not sidecar:
        path.with_name(path.name + ".sha256").unlink()
    with pytest.raises(WeightError):
        load_weights(tiny().build(FINDINGS, seed=1), path)


def test_a_foreign_file_is_for_a_backbone(tiny, colour_file) -> None:
    with pytest.raises(WeightError, match=r"backbone\.weights=file:"):
        load_weights(tiny().build(FINDINGS, seed=0), colour_file[0])


def test_a_full_disk_leaves_the_old_file(saved, monkeypatch) -> None:
    network, path, digest = saved

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    network.head.bias.data += 1
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="No space left"):
        save_weights(network, path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert [file.name for file in path.parent.iterdir() if "tmp" in file.name] == []


def test_origin_travels_with_the_file(tiny, saved, tmp_path) -> None:
    network, path, _ = saved
    network.weights = WeightSpec("hub/x", "r1", "0" * 64, "mit", ("imagenet-1k",))
    save_weights(network, path)
    child = tiny(weights=f"file:{path}").build(FINDINGS, seed=2)
    assert child.weights.licence == "mit"
    assert child.weights.trained_on == ("imagenet-1k",)


def test_batch_counters_do_not_count() -> None:
    wanted = {"a": torch.zeros(1), "norm.num_batches_tracked": torch.zeros(())}
    assert compare(wanted, {"a": torch.zeros(1)}).share == 1
    assert LoadReport(matched=()).share == 0
