# SPDX-License-Identifier: Apache-2.0
"""Where weights are found, and what they must hash to."""

import dataclasses
import hashlib
import urllib.error
from pathlib import Path

import huggingface_hub
import pytest
import torch

from medsetu.backbone.fetch import Located, Published, fetch, is_local, is_untagged, locate, of_card
from medsetu.backbone.stored import read_stored
from medsetu.catalog.weights import MIRROR, load_weight_card
from medsetu.core.errors import ConfigError, ResourceError, WeightError

HUB = Published("timm/tiny", "model.safetensors", revision="main")


@pytest.mark.parametrize(
    "weights", ["http://a.b/x.pt", "https://a.b/x.pt", "file:http://a.b/x.pt", "HTTP://a.b/x", "s3://b/x", "file://h/x"]
)
def test_addresses_are_refused(weights) -> None:
    """T32: nothing is fetched from where a recipe points."""
    with pytest.raises(WeightError, match="not fetched from an address"):
        is_local(weights)


def test_kinds_of_weights() -> None:
    assert is_local("file:x.pt")
    assert not is_local("IMAGENET1K_V2")
    assert is_untagged(None)
    assert is_untagged("run:x")
    assert not is_untagged("a1_in1k")


def run_with(folder: Path, *stages: str) -> Path:
    for stage in stages:
        path = folder / "checkpoints" / f"{stage}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(stage.encode())
        path.with_name(path.name + ".sha256").write_text(f"{hashlib.sha256(stage.encode()).hexdigest()}  {path.name}\n")
    return folder


def test_a_run_names_its_stage(tmp_path) -> None:
    run = run_with(tmp_path, "pretrain")
    assert locate(f"run:{run}", sha256=None) == locate(f"run:{run}#pretrain", sha256=None)
    assert locate(f"run:{run}", sha256=None).sha256 == hashlib.sha256(b"pretrain").hexdigest()
    run_with(tmp_path, "finetune")
    with pytest.raises(ConfigError, match="several stages"):
        locate(f"run:{run}", sha256=None)
    with pytest.raises(ConfigError, match="Did you mean 'finetune'"):
        locate(f"run:{run}#fintune", sha256=None)
    assert locate(f"run:{run}#finetune", sha256=None).path.stem == "finetune"


def test_a_run_without_checkpoint_or_digest_is_refused(tmp_path) -> None:
    with pytest.raises(WeightError, match="no finished checkpoint"):
        locate(f"run:{tmp_path}", sha256=None)
    run_with(tmp_path, "pretrain")
    (tmp_path / "checkpoints" / "pretrain.safetensors.sha256").unlink()
    with pytest.raises(WeightError, match="no recorded SHA-256"):
        locate(f"run:{tmp_path}", sha256=None)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub's cache as it lies on a disk: blobs by their SHA-256, snapshots by commit."""

    def download(place: str, filename: str, *, revision: str | None) -> str:
        assert (place, revision) == ("timm/tiny", "main")
        digest = hashlib.sha256(b"weights").hexdigest()
        blob, link = tmp_path / "blobs" / digest, tmp_path / "snapshots" / "c0ffee" / filename
        for path in (blob, link):
            path.parent.mkdir(parents=True)
        blob.write_bytes(b"weights")
        link.symlink_to(blob)
        return str(link)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)


@pytest.mark.usefixtures("hub")
def test_the_hub_states_digest_and_commit() -> None:
    located = fetch(HUB, sha256=None)
    assert located.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert located.revision == "c0ffee"


@pytest.mark.usefixtures("hub")
def test_a_pinned_digest_wins() -> None:
    assert fetch(HUB, sha256="ab" * 32).sha256 == "ab" * 32


@pytest.mark.parametrize("error", [FileNotFoundError("offline"), ConnectionError("offline")])
def test_an_unreachable_hub_says_what_to_do(monkeypatch, error) -> None:
    def download(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(ResourceError, match=r"give backbone\.weights=file:"):
        fetch(HUB, sha256=None)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """An https server that sends ``content``; None refuses the connection."""
    sent: list[str] = []
    content: dict[str, bytes | None] = {"data": b"weights"}

    def download(url: str, target: str, *, progress: bool) -> None:
        sent.append(url)
        if content["data"] is None:
            message = "no route"
            raise urllib.error.URLError(message)
        Path(target).write_bytes(content["data"])

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    return sent, content


def test_the_name_states_the_digest(server) -> None:
    digits = hashlib.sha256(b"weights").hexdigest()[:8]
    published = Published(f"https://example.org/net-{digits}.pth")
    assert fetch(published, sha256=None).sha256 == digits
    assert fetch(published, sha256=None).path.read_bytes() == b"weights"
    assert len(server[0]) == 1, "the second time it comes from the cache"


def test_a_spoilt_cache_is_fetched_again(server) -> None:
    digits = hashlib.sha256(b"weights").hexdigest()[:8]
    published = Published(f"https://example.org/net-{digits}.pth")
    path = fetch(published, sha256=None).path
    path.write_bytes(b"other")
    assert fetch(published, sha256=None).path.read_bytes() == b"weights"


def test_downloads_without_digest_are_refused_and_named(server) -> None:
    """T32: nobody states the digest, so the message states the one to pin."""
    published = Published("https://example.org/net-best.pt")
    digest = hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(WeightError, match=digest):
        fetch(published, sha256=None)
    assert fetch(published, sha256=digest).sha256 == digest


def test_http_and_a_dead_server(server) -> None:
    with pytest.raises(WeightError, match="https only"):
        fetch(Published("http://example.org/net-01234567.pth"), sha256=None)
    server[1]["data"] = None
    with pytest.raises(ResourceError, match="could not be fetched"):
        fetch(Published("https://example.org/net-01234567.pth"), sha256=None)


CARD = load_weight_card("resnet50_timm")
DIGEST = hashlib.sha256(b"weights").hexdigest()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A mirror folder, and a hub that nobody may ask."""

    def download(*_: object, **__: object) -> str:
        message = "the mirror holds the file"
        raise AssertionError(message)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setenv(MIRROR, str(tmp_path))

    def lay(published: Published, *, beside: str = "") -> Path:
        path = tmp_path / published.mirrored
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights")
        if beside:
            path.with_name(path.name + ".sha256").write_text(f"{beside}  {path.name}\n")
        return path

    return lay


def test_the_mirror_is_looked_at_first(mirror):
    published = of_card(CARD, revision="c0ffee")
    path = mirror(published, beside=DIGEST)
    assert path.as_posix().endswith("resnet50_timm/c0ffee/model.safetensors")
    assert fetch(published, sha256=None) == Located(path, DIGEST, "c0ffee")
    assert fetch(published, sha256="ab" * 32).sha256 == "ab" * 32


def test_the_digest_of_the_card_binds_the_mirror(mirror):
    published = of_card(dataclasses.replace(CARD, sha256="ab" * 32))
    path = mirror(published, beside=DIGEST)
    located = fetch(published, sha256=None)
    with pytest.raises(WeightError, match="not the promised ones"):
        read_stored(located.path, sha256=located.sha256)
    assert path == located.path


def test_a_mirrored_file_of_which_nobody_states_the_bytes_is_refused(mirror):
    mirror(HUB)
    with pytest.raises(WeightError, match=DIGEST):
        fetch(HUB, sha256=None)


@pytest.mark.parametrize(
    ("published", "order"),
    [
        (of_card(CARD, revision="c0ffee"), r"hf download timm/resnet50\.a1_in1k model\.safetensors --revision c0ffee --local-dir"),
        (
            Published("https://example.org/net-01234567.pth"),
            r"curl -L --create-dirs -o \S+/example_org_net_01234567_pth/net-01234567\.pth https",
        ),
        (of_card(load_weight_card("chexzero")), r"get the file as \S+ says; the file must lie at \S+/chexzero/best_64_5e-05"),
    ],
)
def test_what_is_missing_is_named_with_the_line_that_brings_it(monkeypatch, tmp_path, published, order):
    def refuse(*_: object, **__: object) -> str:
        message = "offline"
        raise ConnectionError(message)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv(MIRROR, str(tmp_path / "mirror"))
    with pytest.raises(ResourceError, match=order):
        fetch(published, sha256=None)
