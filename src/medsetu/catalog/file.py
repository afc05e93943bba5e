# SPDX-License-Identifier: Apache-2.0
"""The files that a release consists of, as its card lists them: address, name, length, digest."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from medsetu.catalog.entry import wrong
from medsetu.core.inside import alike, strays

PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
DIGESTS = {"md5": 32, "sha256": 64}  # kind -> hexadecimal digits
_DIGEST = re.compile(r"(md5|sha256):([0-9a-f]+)")
_KEYS = ("url", "name", "bytes", "digest", "unpack", "inside", "into")


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a release, as its publisher offers it.

    Attributes:
        url: Address, http or https, without a name or a password in it.
        name: Name it gets here.
        bytes: Length; None where it is not known.
        digest: ``md5:...`` or ``sha256:...``, as published; None where none is known.
        unpack: Whether the layout of the release asks for it to be unpacked.
        inside: Folder in the archive whose content is the release, where that is not the archive itself.
        into: Folder below that of the release for the file or for what is unpacked; empty for the folder of the release itself.
    """

    url: str
    name: str
    bytes: int | None = None
    digest: str | None = None
    unpack: bool = False
    inside: str = ""
    into: str = ""


def read_files(items: Any, path: Path) -> tuple[RemoteFile, ...]:  # noqa: ANN401 - a YAML value
    """Read the files of a card.

    Args:
        items: What YAML gave for the key ``files``.
        path: Of the card, for messages.

    Returns:
        The files, in the order of the card.

    Raises:
        ConfigError: It is no list of files, an address or a digest is wrong, or two files bear one name.
    """
    if not isinstance(items, list | None):
        raise wrong(path, what="The value of 'files' is not a list")
    files = tuple(_file(item, path) for item in items or ())
    if len({alike(f"{file.into}/{file.name}") for file in files}) < len(files) or len({alike(file.name) for file in files}) < len(files):
        raise wrong(path, what="Two files of the card bear one name")
    return files


def _file(item: Any, path: Path) -> RemoteFile:  # noqa: ANN401 - a YAML value
    if not isinstance(item, Mapping) or not {"url", "name"} <= set(item) <= set(_KEYS):
        raise wrong(path, what=f"A file of the card does not name url and name, or more than {', '.join(_KEYS)}")
    file = RemoteFile(
        url=str(item["url"]),
        name=str(item["name"]),
        bytes=item.get("bytes"),
        digest=item.get("digest"),
        unpack=item.get("unpack", False),
        inside=str(item.get("inside") or ""),
        into=str(item.get("into") or ""),
    )
    if fault := _fault(file):
        raise wrong(path, what=f"The file '{file.name}' of the card {fault}")
    return file


def _fault(file: RemoteFile) -> str:
    digest = _DIGEST.fullmatch(str(file.digest)) if file.digest is not None else None
    faults = {
        "has an address that is not http or https, or that holds a user": not _address(file.url),
        "has a name that is no plain file name": bool(strays(file.name)) or "/" in file.name or file.name.startswith("."),
        "leaves the folder of the release": any(part and strays(part) for part in (file.into, file.inside)),
        "has a length that is no positive number": file.bytes is not None and (type(file.bytes) is not int or file.bytes <= 0),
        "has a digest that is neither md5:<32> nor sha256:<64> hexadecimal digits": file.digest is not None
        and (digest is None or len(digest.group(2)) != DIGESTS[digest.group(1)]),
        "says neither yes nor no to unpack": not isinstance(file.unpack, bool),
        f"is to be unpacked but ends in none of {', '.join(PACKED)}": file.unpack is True and not file.name.lower().endswith(PACKED),
    }
    return next((text for text, true in faults.items() if true), "")


def _address(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and not parts.fragment
