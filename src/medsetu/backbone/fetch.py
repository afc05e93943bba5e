# SPDX-License-Identifier: Apache-2.0
"""Find the file a backbone's weights lie in, and the digest it must have: local, of another run, or from a publisher."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from medsetu.catalog.weights import MIRROR, WeightCard, mirror_folder
from medsetu.core.errors import ConfigError, ResourceError, WeightError
from medsetu.core.run import RunFolder, sha256_file

PRETRAINED = "pretrained"
_ADDRESS = re.compile(r"^(file:)?[a-z0-9]+://", re.IGNORECASE)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


@dataclass(frozen=True)
class Located:
    """A weights file on this machine, and what its bytes must hash to.

    Attributes:
        path: The file.
        sha256: Expected digest or its first digits; None only for a file of the user for which none was given.
        revision: Version within the publisher's place; empty when it has none.
    """

    path: Path
    sha256: str | None
    revision: str = ""


@dataclass(frozen=True)
class Published:
    """Weights as their publisher offers them.

    Attributes:
        place: Repository on the Hugging Face hub, or an https address; empty where a program cannot fetch them.
        filename: Name within the repository; empty for an address.
        licence: As the publisher names it; empty means unknown.
        trained_on: Releases the weights have seen.
        revision: Branch, tag or commit in the repository; None for the newest.
        card: Card of the catalogue; None where nobody wrote one.
    """

    place: str
    filename: str = ""
    licence: str = ""
    trained_on: tuple[str, ...] = ()
    revision: str | None = None
    card: WeightCard | None = None

    @property
    def mirrored(self) -> Path:
        """Place of the file below the mirror folder: ``<name of the card>/[<revision>/]<file>``.

        Example:
            >>> Published("timm/tiny", "model.safetensors", revision="main").mirrored.as_posix()
            'timm_tiny/main/model.safetensors'
        """
        name = self.card.name if self.card else re.sub(r"\W+", "_", self.place.partition("://")[2] or self.place)
        return Path(name, self.revision or "", (self.filename or self.place).rsplit("/", 1)[-1])


def of_card(card: WeightCard, *, revision: str | None = None) -> Published:
    """Describe the weights of a card as their publisher offers them.

    Args:
        card: The card.
        revision: Instead of the one on the card.

    Returns:
        Place, file, terms and card.
    """
    place = card.place or ""
    filename = "" if place.startswith("https:") else card.filename or ""
    return Published(place, filename, card.weights_licence or "", card.trained_on, revision or card.revision, card)


def is_local(weights: str) -> bool:
    """Tell whether weights lie on this machine (``file:``, ``run:``) rather than with a publisher.

    Raises:
        WeightError: An address is given; medsetu fetches only from the publishers its backbones name.

    Example:
        >>> is_local("run:outputs/a"), is_local("pretrained")
        (True, False)
    """
    if _ADDRESS.match(weights):
        raise WeightError(
            what="Weights are not fetched from an address in a recipe",
            where=f"backbone.weights={weights}",
            remedy="Download the file, compare its SHA-256, and give backbone.weights=file:<path> backbone.sha256=<digest>",
        )
    return weights.startswith(("file:", "run:"))


def is_untagged(weights: str | None) -> bool:
    """Tell whether weights are named without a tag of the library.

    Example:
        >>> is_untagged("pretrained"), is_untagged("IMAGENET1K_V2")
        (True, False)
    """
    return weights is None or weights == PRETRAINED or weights.startswith(("file:", "run:"))


def locate(weights: str, *, sha256: str | None) -> Located:
    """Find local weights: ``file:<path>``, or ``run:<folder>`` and ``run:<folder>#<stage>``.

    Args:
        weights: As written in the recipe.
        sha256: Expected digest, where the recipe pins one. A run records its own.

    Returns:
        The file and its expected digest.

    Raises:
        ConfigError: The run has several stages and none is named, or not the named one.
        WeightError: The run has no checkpoint, or one without a recorded digest.
    """
    kind, _, rest = weights.partition(":")
    if kind == "file":
        return Located(Path(rest).expanduser(), sha256)
    folder, _, stage = rest.partition("#")
    found = {path.stem: path for path in sorted(RunFolder(Path(folder).expanduser()).checkpoints.glob("*.safetensors"))}
    if not found:
        raise WeightError(
            what="The run has no finished checkpoint", where=folder, remedy="Finish it with `medsetu train`, or give another run folder"
        )
    if not stage and len(found) > 1:
        raise ConfigError(what="The run has several stages", where=folder, remedy="Name one: run:<folder>#<stage>", allowed=list(found))
    if stage and stage not in found:
        raise ConfigError(what=f"The run has no stage '{stage}'", where=folder, value=stage, allowed=list(found))
    path = found[stage] if stage else next(iter(found.values()))
    recorded = path.with_name(path.name + ".sha256")
    if not recorded.is_file():
        raise WeightError(
            what="A checkpoint has no recorded SHA-256", where=str(path), remedy="Copy the .sha256 file along with it, or train again"
        )
    return Located(path, sha256 or recorded.read_text().split()[0])


def fetch(published: Published, *, sha256: str | None) -> Located:
    """Find weights in the mirror folder, else fetch them from their publisher into the usual cache, once.

    The mirror folder (environment variable ``MEDSETU_WEIGHTS``) is looked at first, so that a machine without a network can be served by
    hand. The digest comes from the recipe, else from the card, else from the publisher (the hub names a file by its SHA-256, torchvision
    writes it into the file's name), else, in the mirror, from a ``.sha256`` file beside it. Where nobody states one the weights are
    refused, and the message says which digest to pin.

    Args:
        published: What to fetch.
        sha256: Digest pinned by the recipe.

    Returns:
        The file and its expected digest.

    Raises:
        ResourceError: The file is not in the mirror, and the publisher cannot be reached.
        WeightError: Nobody states a digest.
    """
    stated = sha256 or (published.card.sha256 if published.card else None)
    located = _from_mirror(published, stated)
    if located is None and not published.place:
        raise _unreachable(published, reason="no program may fetch them")
    if located is None:
        located = _from_hub(published, stated) if published.filename else _from_address(published, stated)
    if located.sha256 is None:
        raise WeightError(
            what=f"Nobody states which bytes these weights must have; the file that came has SHA-256 {sha256_file(located.path)}",
            where=published.place or str(located.path),
            remedy="Compare it with a source you trust, then pin it: backbone.sha256=<digest>",
        )
    return located


def _from_mirror(published: Published, sha256: str | None) -> Located | None:
    folder = mirror_folder()
    path = folder / published.mirrored if folder else None
    if path is None or not path.is_file():
        return None
    named, beside = _DIGEST_IN_NAME.search(path.name), path.with_name(path.name + ".sha256")
    written = beside.read_text().split()[0] if beside.is_file() else None
    return Located(path, sha256 or written or (named[1] if named else None), published.revision or "")


def _from_hub(published: Published, sha256: str | None) -> Located:
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = Path(huggingface_hub.hf_hub_download(published.place, published.filename, revision=published.revision))
    except (OSError, EntryNotFoundError) as error:
        raise _unreachable(published, reason=type(error).__name__) from error
    blob = path.resolve().name  # the cache keeps large files under their SHA-256
    return Located(path, sha256 or (blob if _DIGEST.fullmatch(blob) else None), revision=path.parent.name)


def _from_address(published: Published, sha256: str | None) -> Located:
    address = published.place
    if not address.startswith("https://"):
        raise WeightError(what="Weights are fetched over https only", where=address, remedy="Download the file and give file:<path>")
    path = Path(torch.hub.get_dir()) / "checkpoints" / address.rsplit("/", 1)[-1]
    named = _DIGEST_IN_NAME.search(path.name)
    expected = sha256 or (named[1] if named else None)
    if not path.is_file() or (expected and not sha256_file(path).startswith(expected)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(address, str(path), progress=False)
        except OSError as error:
            raise _unreachable(published, reason=type(error).__name__) from error
    return Located(path, expected)


def _unreachable(published: Published, *, reason: str) -> ResourceError:
    """Say which file is missing, and the one line that brings it to where it is looked for."""
    target = (mirror_folder() or Path("<folder>")) / published.mirrored
    if published.filename and published.place:
        revision = f" --revision {published.revision}" if published.revision else ""
        order = f"`hf download {published.place} {published.filename}{revision} --local-dir {target.parent}`"
    elif published.place:
        order = f"`curl -L --create-dirs -o {target} {published.place}`"
    else:
        order = f"get the file as {published.card.homepage if published.card else 'its authors'} says"
    return ResourceError(
        what=f"Pretrained weights could not be fetched ({reason})",
        where=published.place or str(target),
        remedy=f"Where there is a network: {order}; the file must lie at {target}, and {MIRROR} must name the folder above. "
        "Or give backbone.weights=file:<path>, or start from scratch (null)",
    )
