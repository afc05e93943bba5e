# SPDX-License-Identifier: Apache-2.0
"""The Basic Application Level Confidentiality Profile, applied to a header in memory (PS3.15 Annex E)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from medsetu import __version__
from medsetu.privacy import dummy
from medsetu.privacy.dicom import age_years, elements, is_safe
from medsetu.privacy.dummy import is_dummy, is_empty
from medsetu.privacy.pattern import looks_like, repeats, words_of
from medsetu.privacy.plan import AuditPlan
from medsetu.privacy.profile import BASIC, CLEAN_PIXELS, OPTIONS, Row, row_of
from medsetu.privacy.pseudonym import Pseudonyms

_PSEUDONYMOUS: Final[Mapping[int, str]] = {0x00100010: "patient", 0x00100020: "patient", 0x00080050: "accession", 0x00200010: "study"}
_DUMMIES: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("PN", "LO", "SH", "ST", "LT", "UT", "UC", "UR", "CS", "AE"), dummy.TEXT),
    "DA": dummy.DATE,
    "DT": dummy.DATE + dummy.TIME,
    "TM": dummy.TIME,
    "AS": "000Y",
    **dict.fromkeys(("DS", "IS"), dummy.NUMBER),
    **dict.fromkeys(("US", "UL", "UV", "SS", "SL", "SV"), 0),
    **dict.fromkeys(("FL", "FD"), 0.0),
    **dict.fromkeys(("OB", "OW", "UN", "OF", "OD", "OL", "OV"), b"\0\0"),
}
_TEXT: Final = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
_META_KEPT: Final = (0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010)
_WORDS_FROM: Final = ("PatientName", "PatientID", "OtherPatientNames", "OtherPatientIDs", "PatientBirthName", "AccessionNumber")
_POOL: Final = 90  # years: everybody older counts as this old
_VOCABULARY: Final = """
chest thorax lung abdomen pelvis spine skull head brain breast mammogram mammography knee hip hand foot shoulder neck sinus
pa ap lateral lat frontal oblique decubitus supine erect upright portable cc mlo view left right bilateral axial coronal sagittal
ct mr xr cr dx mg us plain contrast non with without and of the routine screening diagnostic thin thick bone soft tissue t1 t2 flair dwi adc
"""
_TERMS: Final = frozenset(_VOCABULARY.split())


@dataclass(frozen=True)
class Scrubber:
    """Applies the profile to headers.

    Attributes:
        plan: Options chosen, and private elements known to be safe.
        pseudonyms: Pseudonyms of the key.
        cleaned_pixels: Whether text is removed from the pixels as well.
    """

    plan: AuditPlan
    pseudonyms: Pseudonyms
    cleaned_pixels: bool

    def scrub(self, header: Dataset) -> frozenset[str]:
        """Clean a header and its file meta information in place.

        Args:
            header: The data set; ``file_meta`` hangs on it.

        Returns:
            The words by which the patient could be recognised in the file's name.
        """
        texts = [str(part) for name in _WORDS_FROM for part in _parts(header.get(name)) if not is_dummy(part, vr="LO")]
        words = words_of(texts)
        patient = str(header.get("PatientID") or header.get("PatientName") or header.get("StudyInstanceUID") or "")
        self._level(header, patient, words)
        self._pool_age(header)
        self._meta(header)
        self._declare(header)
        return words

    def _level(self, dataset: Dataset, patient: str, words: frozenset[str]) -> None:
        for tag, vr, value, element in list(elements(dataset)):
            row = row_of(int(tag))
            action = self._action(dataset, tag, row)
            if element is None or action == "X":  # pydicom cannot convert it, so it cannot be cleaned
                del dataset[tag]
            elif action in ("K", "") and vr != "SQ":
                self._look(dataset, tag, vr, value, words)
            elif vr == "SQ":
                self._sequence(dataset, tag, action, patient, words)
            else:
                self._replace(dataset, tag, vr, value, action, patient)

    def _action(self, dataset: Dataset, tag: BaseTag, row: Row | None) -> str:
        """Decide: X, Z, D, U, K, C for dates and descriptors, or nothing. Of alternatives the one that every IOD allows is taken."""
        if row is None:
            return ""
        if row.tag == "private":
            return "" if is_safe(dataset, tag, self.plan) else "X"
        action = row.action(self.plan.retain)
        if action == "C" and not ({"modified_dates", "clean_descriptors"} & set(self.plan.retain) & set(row.options)):
            action = row.basic  # this cleaning is not known here: the Basic Profile is stricter
        return {"X/Z": "Z", "X/D": "D", "Z/D": "D", "X/Z/D": "D", "X/Z/U*": "K"}.get(action, action)

    def _look(self, dataset: Dataset, tag: BaseTag, vr: str, value: Any, words: frozenset[str]) -> None:  # noqa: ANN401 - a header's value
        """Remove what stays by the table but gives the patient away, or stands beside the table."""
        beside = row_of(int(tag)) is None and vr in ("PN", "DA", "DT", "AE", "UR")
        text = " ".join(map(str, _parts(value))) if vr in _TEXT and not is_empty(value) else ""
        if (beside and not is_dummy(value, vr=vr)) or looks_like(text) or repeats(text, words):
            dataset[tag].value = _DUMMIES[vr]

    def _sequence(self, dataset: Dataset, tag: BaseTag, action: str, patient: str, words: frozenset[str]) -> None:
        if action == "Z":
            dataset[tag].value = Sequence()
        elif action == "D":
            dataset[tag].value = Sequence([Dataset()])
        else:
            for item in dataset[tag].value:
                self._level(item, patient, words)

    def _replace(self, dataset: Dataset, tag: BaseTag, vr: str, value: Any, action: str, patient: str) -> None:  # noqa: ANN401
        if is_empty(value):
            return
        kind = _PSEUDONYMOUS.get(int(tag))
        if kind:
            dataset[tag].value = self.pseudonyms.name(patient if kind == "patient" else str(value), kind=kind)
        elif action == "U" or vr == "UI":
            uids = [part if str(part).startswith("1.2.840.10008.") else self.pseudonyms.uid(str(part)) for part in _parts(value)]
            dataset[tag].value = uids if len(uids) > 1 else uids[0]
        elif action == "C":
            dataset[tag].value = self._cleaned(vr, value, patient)
        else:
            dataset[tag].value = "" if action == "Z" and vr in (*_TEXT, "DA", "TM", "DT", "AS", "DS", "IS") else _DUMMIES[vr]

    def _cleaned(self, vr: str, value: Any, patient: str) -> Any:  # noqa: ANN401 - a header's value
        if vr in ("DA", "DT"):
            moved = [self.pseudonyms.moved(str(part), patient=patient) for part in _parts(value)]
            return moved if len(moved) > 1 else moved[0]
        if vr == "TM":
            return value  # the time of day stays when days are shifted
        return descriptors(" ".join(map(str, _parts(value)))) if vr in _TEXT else _DUMMIES[vr]

    def _pool_age(self, header: Dataset) -> None:
        text = str(header.get("PatientAge") or "")
        if age_years(text) >= _POOL:
            header.PatientAge = f"{_POOL:03d}Y"

    def _meta(self, header: Dataset) -> None:
        meta = header.file_meta if isinstance(getattr(header, "file_meta", None), FileMetaDataset) else FileMetaDataset()
        for tag in list(meta.keys()):
            if int(tag) not in _META_KEPT:
                del meta[tag]
        if "SOPInstanceUID" in header:
            meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        if "SOPClassUID" in header:
            meta.MediaStorageSOPClassUID = header.SOPClassUID
        header.file_meta = meta

    def _declare(self, header: Dataset) -> None:
        """Say what was done: (0012,0062) to (0012,0064) and (0028,0303)."""
        codes = [BASIC, *([CLEAN_PIXELS] if self.cleaned_pixels else []), *(OPTIONS[name] for name in self.plan.retain)]
        header.PatientIdentityRemoved = "YES"
        header.DeidentificationMethod = f"medsetu {__version__}"
        header.DeidentificationMethodCodeSequence = Sequence([_code(*code) for code in codes])
        kept = {"full_dates": "UNMODIFIED", "modified_dates": "MODIFIED"}
        header.LongitudinalTemporalInformationModified = next((kept[name] for name in kept if name in self.plan.retain), "REMOVED")


def descriptors(text: str) -> str:
    """Keep of a description the words of a fixed vocabulary of body parts, views and techniques.

    Example:
        >>> descriptors("CHEST PA Lakshmi 98765 43210")
        'CHEST PA'
    """
    kept = [word for word in re.split(r"[\W_]+", text) if word.lower() in _TERMS]
    return " ".join(kept) or dummy.TEXT


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _parts(value: Any) -> list[Any]:  # noqa: ANN401 - a header's value
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
