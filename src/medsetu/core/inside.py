# SPDX-License-Identifier: Apache-2.0
"""Names from elsewhere (members of archives, files of a card): may one become a path below a folder of ours?"""

import re
import unicodedata

_DRIVE = re.compile(r"[A-Za-z]:")


def strays(name: str) -> str:
    """Say why a name must not become a path below a folder.

    Args:
        name: With forward slashes, as archives write them.

    Returns:
        The reason, in words; empty when the name stays inside.

    Example:
        >>> strays("images/a.png"), strays("../a.png"), strays("C:/a.png")
        ('', 'it steps out of its folder', 'it begins with a drive')
    """
    parts = name.split("/")
    reasons = {
        "it is empty": not name.strip("/. "),
        "it is absolute": name.startswith("/"),
        "it steps out of its folder": ".." in parts,
        "it begins with a drive": bool(_DRIVE.match(name)),
        "it holds a backslash": "\\" in name,
        "it holds a control character": any(unicodedata.category(letter) == "Cc" for letter in name),
    }
    return next((reason for reason, true in reasons.items() if true), "")


def alike(name: str) -> str:
    """Write a name so that two which a file system may take for one are equal: case and the forms of Unicode do not count.

    Example:
        >>> alike("./Images//A.PNG") == alike("images/a.png")
        True
    """
    return unicodedata.normalize("NFC", inner(name)).casefold()


def inner(name: str) -> str:
    """Write a name without empty parts and without steps that stay where they are.

    Example:
        >>> inner("./images//a.png"), inner("./")
        ('images/a.png', '')
    """
    return "/".join(part for part in name.split("/") if part not in ("", "."))
