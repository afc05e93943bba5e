# SPDX-License-Identifier: Apache-2.0
"""Identifiers in the names of files and folders."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

from medsetu.privacy.pattern import looks_like, repeats

_SUFFIX: Final = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]{0,6}){1,2}$")


def audit_path(relative: PurePath, *, words: Iterable[str] = ()) -> Counter[str]:
    """Audit a relative path, folder by folder.

    Args:
        relative: Path below the audited folder.
        words: Words by which the file's own header names its patient.

    Returns:
        Rule -> count.

    Example:
        >>> audit_path(PurePath("Smt_Devi/98765 43210/img_1.png"))
        Counter({'path/looks like name': 1, 'path/looks like mobile': 1})
        >>> audit_path(PurePath("a/Sentinel_1.dcm"), words={"sentinel"})
        Counter({'path/repeated': 1})
    """
    found: Counter[str] = Counter()
    wanted = frozenset(words)
    for place, part in enumerate(relative.parts):
        text = _SUFFIX.sub("", part) if place == len(relative.parts) - 1 else part
        patterns = looks_like(text)
        found.update({f"path/looks like {name}": count for name, count in patterns.items()})
        found["path/repeated"] += int(repeats(text, wanted))
    return +found
