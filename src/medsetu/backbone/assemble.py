# SPDX-License-Identifier: Apache-2.0
"""From a source of architectures and a place of weights to a network: the same steps for every library."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import nn

from medsetu.backbone.fetch import Published, fetch, is_local, locate
from medsetu.backbone.fingerprint import require_fingerprint
from medsetu.backbone.network import Network, new_head, seeded
from medsetu.backbone.spec import SCRATCH, InputSpec, WeightSpec
from medsetu.backbone.stored import State, Stored, read_stored
from medsetu.backbone.structure import rebuild_trunk, refuse_bank
from medsetu.backbone.trunk import first_convolution
from medsetu.backbone.weights import Rows, load_adapters, load_rows, part, stored_rows
from medsetu.catalog.weights import WeightCard, read_sidecar
from medsetu.core.errors import ConfigError, WeightError

UNTAUGHT_MEAN, UNTAUGHT_STD = 0.5, 0.25  # of chest radiographs in [0, 1], rounded; a network from scratch adapts to either


class Source(Protocol):
    """What a library must answer so that ``assemble`` can build from it."""

    @property
    def weights(self) -> str | None:
        """None, ``pretrained``, a tag of the library, ``file:<path>`` or ``run:<folder>[#<stage>]``."""

    @property
    def sha256(self) -> str | None:
        """Digest the weights must have, where the recipe pins one."""

    @property
    def channels(self) -> int:
        """Channels of the images, 1 or 3."""

    @property
    def size(self) -> int | None:
        """Height and width of the images, pixels, and the depth of volumes; None for what the weights were taught on."""

    def taught(self) -> InputSpec:
        """Describe what published weights were taught on."""

    def published(self) -> Published:
        """Say where the published weights lie."""

    def trunk(self, *, channels: int, state: State | None) -> nn.Module:
        """Build the architecture without its head, for ``channels`` channels, and load ``state`` strictly where given."""


def assemble(
    source: Source,
    findings: Sequence[str],
    *,
    seed: int,
    rows: Callable[[State], Rows] | None = None,
    module_classes: Sequence[str] = (),
    entry: str = "",
) -> Network:
    """Build a network: locate and verify the weights, build the trunk, load it strictly, set the head by name.

    Args:
        source: Architecture and place of the weights.
        findings: Names of the rows of the head.
        seed: Of everything that is not loaded; no global generator is touched.
        rows: Takes the rows of a published head that are findings out of its state; None where its classes are no findings.
        module_classes: Names of the classes in a published file that holds a whole module instead of its state.
        entry: Key of the wanted set of tensors in a published file that holds several.

    Returns:
        The network in training mode, on the CPU, every parameter trainable.

    Raises:
        ConfigError: Findings repeat, or the images have more channels than the weights know.
        ResourceError: The publisher cannot be reached, or an optional package is missing.
        WeightError: The weights are not what was promised or do not fit.
    """
    with seeded(seed):
        if source.weights is None:
            return _untaught(source, findings, seed=seed)
        stored, origin, card = _obtain(source, source.weights, module_classes, entry)
        published_rows = rows(stored.state) if rows and not stored.note else {}
        network = _taught(source, stored, origin, findings, seed=seed, published_rows=published_rows)
    if card is not None:
        require_fingerprint(network, card.fingerprint, where=f"Weights '{card.name}'", logits=False)
    return network


def _untaught(source: Source, findings: Sequence[str], *, seed: int) -> Network:
    taught = source.taught().size
    size = taught if source.size is None else (source.size,) * len(taught)
    spec = InputSpec(size, source.channels, (UNTAUGHT_MEAN,) * source.channels, (UNTAUGHT_STD,) * source.channels)
    trunk = source.trunk(channels=source.channels, state=None)
    return _network(trunk, findings, seed=seed, spec=spec, native=spec, weights=SCRATCH)


def _obtain(source: Source, weights: str, module_classes: Sequence[str], entry: str) -> tuple[Stored, WeightSpec, WeightCard | None]:
    if is_local(weights):
        located = locate(weights, sha256=source.sha256)
        stored = read_stored(located.path, sha256=located.sha256, module_classes=module_classes, entry=entry)
        card = read_sidecar(located.path)
        return stored, _local_origin(stored, weights, card), card
    published = source.published()
    located = fetch(published, sha256=source.sha256)
    stored = read_stored(located.path, sha256=located.sha256, module_classes=module_classes, entry=entry)
    return (
        stored,
        WeightSpec(published.place or weights, located.revision, stored.sha256, published.licence, published.trained_on),
        published.card,
    )


def _local_origin(stored: Stored, weights: str, card: WeightCard | None) -> WeightSpec:
    origin = WeightSpec(weights, sha256=stored.sha256)
    if card is not None:
        if card.sha256 and not stored.sha256.startswith(card.sha256):
            raise WeightError(
                what=f"The card beside the weights is that of other weights: it says SHA-256 {card.sha256}, the file has {stored.sha256}",
                where=weights,
                remedy="Copy the card that belongs to the file, or remove it",
            )
        origin = replace(origin, licence=card.weights_licence or "", trained_on=card.trained_on)
    if stored.note:  # the card says more than the header where both speak
        came_from = WeightSpec.from_dict(stored.note["weights"])
        taught_on = tuple(dict.fromkeys([*origin.trained_on, *came_from.trained_on]))
        origin = replace(origin, licence=origin.licence or came_from.licence, trained_on=taught_on)
    return origin


def _taught(source: Source, stored: Stored, origin: WeightSpec, findings: Sequence[str], *, seed: int, published_rows: Rows) -> Network:
    if stored.note:  # one of ours: it says itself what it was taught on and what its rows mean
        refuse_bank(stored.note.get("structure", {}), where=origin.origin)
        native, state, rows = InputSpec.from_dict(stored.note["native"]), part(stored.state, "trunk."), stored_rows(stored)
    else:
        native, state, rows = _native(source, stored.state), stored.state, published_rows
    trunk = source.trunk(channels=native.channels, state=state)
    network = _network(trunk, findings, seed=seed, spec=_seen(source, native), native=native, weights=origin)
    rebuild_trunk(network, stored.note.get("structure", {}), where=origin.origin)
    load_adapters(network, stored.state, where=origin.origin)
    load_rows(network, rows, trained=stored.note.get("trained", tuple(rows)))
    return network


def _native(source: Source, state: State) -> InputSpec:
    """Describe what a published trunk reads; the file itself knows for how many channels it was made."""
    taught = source.taught()
    name = first_convolution(source.trunk(channels=taught.channels, state=None))
    kernel = state.get(f"{name}.weight")
    return taught if kernel is None or kernel.ndim != 4 or kernel.shape[1] not in (1, 3) else taught.with_channels(kernel.shape[1])


def _seen(source: Source, native: InputSpec) -> InputSpec:
    """Describe what the network is given: the configured channels and size, in the units the trunk was taught on."""
    if source.channels > native.channels:
        raise ConfigError(
            what=f"These weights read {native.channels} channel, not {source.channels}",
            where="backbone.channels",
            remedy="Set backbone.channels=1",
        )
    spec = native.with_channels(source.channels)
    return spec if source.size is None else replace(spec, size=(source.size,) * len(spec.size))


def _network(trunk: nn.Module, findings: Sequence[str], *, seed: int, spec: InputSpec, native: InputSpec, weights: WeightSpec) -> Network:
    head = new_head(_width(trunk, native, spec.size), findings, seed=seed)
    return Network(trunk, head, findings=findings, spec=spec, weights=weights, native=replace(native, size=spec.size)).train()


def _width(trunk: nn.Module, native: InputSpec, size: tuple[int, ...]) -> int:
    """Count the pooled features by showing the trunk one empty image: it also proves that it takes this size."""
    trunk.eval()
    try:
        with torch.no_grad():
            pooled = trunk(torch.zeros(1, native.channels, *size))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ConfigError(
            what=f"The architecture does not take images of {' x '.join(map(str, size))} pixels",
            where="backbone.size",
            remedy="Choose another size",
        ) from error
    if pooled.ndim != 2:
        raise ConfigError(
            what="The architecture does not pool its features to a vector", where="backbone.name", remedy="Choose another one"
        )
    return int(pooled.shape[1])
