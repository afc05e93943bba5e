# SPDX-License-Identifier: Apache-2.0
"""Keyed pseudonyms (HMAC-SHA-256): one patient, one pseudonym and one shift of dates; without the key nobody turns back."""

import base64
import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from medsetu.core.errors import ConfigError, PrivacyError, ResourceError
from medsetu.privacy.dummy import DATE, UID_ROOT

SHORTEST: Final = 32  # bytes of a key
_FARTHEST: Final = 3650  # days
_FIRST: Final = date(1, 1, 1)


@dataclass(frozen=True)
class Pseudonyms:
    """Pseudonyms of one key.

    Attributes:
        key: At least 32 secret bytes.
    """

    key: bytes = field(repr=False)

    def digest(self, kind: str, value: str) -> bytes:
        """Hash a value under the key, apart for each kind."""
        return hmac.new(self.key, f"{kind}\0{value.strip()}".encode(), hashlib.sha256).digest()

    def name(self, value: str, *, kind: str = "patient") -> str:
        """Make the pseudonym of a name or number.

        Args:
            value: The name or number.
            kind: What it is; equal values of different kinds get different pseudonyms.

        Returns:
            ``MS-`` and thirteen letters and digits (65 bits): sixteen characters, which every text of a header can hold.

        Example:
            >>> Pseudonyms(bytes(32)).name("ZZ^SENTINEL")
            'MS-ADJVGKT5HMMGM'
        """
        return "MS-" + base64.b32encode(self.digest(kind, value))[:13].decode()

    def uid(self, value: str) -> str:
        """Make a UID from a UID (PS3.5 B.2: root 2.25 and a UUID)."""
        return UID_ROOT + str(uuid.UUID(bytes=self.digest("uid", value)[:16], version=4).int)

    def shift_days(self, patient: str) -> int:
        """Days by which all dates of a patient move back, in [1, 3650]."""
        return 1 + int.from_bytes(self.digest("shift", patient)[:8], "big") % _FARTHEST

    def moved(self, text: str, *, patient: str) -> str:
        """Move the day at the beginning of a date or date and time back by the patient's shift.

        Args:
            text: ``YYYYMMDD``, perhaps with a time behind it.
            patient: The patient, as the file names them.

        Returns:
            The moved date; 1900-01-01 where there is no whole day to move.

        Example:
            >>> Pseudonyms(bytes(32)).moved("20240301101112", patient="a")[8:]
            '101112'
            >>> Pseudonyms(bytes(32)).moved("spring", patient="a")
            '19000101'
        """
        day = _day(text)
        if day is None:
            return DATE
        days = self.shift_days(patient)
        moved = day - timedelta(days) if (day - _FIRST).days > days else _FIRST
        return f"{moved:%Y%m%d}".rjust(8, "0") + text.strip()[8:]


def _day(text: str) -> date | None:
    digits = text.strip()[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def load_key(path: Path, *, away_from: tuple[Path, ...]) -> Pseudonyms:
    """Read the key file, or make one where there is none.

    Args:
        path: The key file.
        away_from: Folders it must not lie in: whoever gets the output must not get the key.

    Returns:
        The pseudonyms of this key.

    Raises:
        PrivacyError: The key lies in one of the folders.
        ConfigError: The key is too short.
        ResourceError: It cannot be read or made.
    """
    place = path.resolve()
    if any(place.is_relative_to(folder.resolve()) for folder in away_from):
        raise PrivacyError(
            what="The key lies in a folder that is read or given away",
            where="Key key",
            remedy="Keep it elsewhere, where only you can read it: key=<file>",
        )
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(secrets.token_hex(SHORTEST) + "\n", encoding="ascii")
        key = path.read_bytes().strip()
    except OSError as error:
        raise ResourceError(
            what=f"The key file cannot be used ({error.strerror})", where="Key key", remedy="Correct the path or its permissions"
        ) from error
    if len(key) < SHORTEST:
        raise ConfigError(what=f"The key is shorter than {SHORTEST} bytes", where="Key key", remedy="Remove the file, and one is made")
    return Pseudonyms(key)
