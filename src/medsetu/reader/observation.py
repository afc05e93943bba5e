# SPDX-License-Identifier: Apache-2.0
"""The thirteen observations as the labeller of CheXpert writes them (Irvin et al., AAAI 2019): 1, 0, -1 for uncertain, blank."""

from collections.abc import Mapping

from medsetu.core.errors import DataError
from medsetu.core.label import ANY_OTHER, NEGATIVE, POSITIVE, UNKNOWN

COLUMN_OF = {  # names that other releases use for the same observation
    "enlarged_cardiomediastinum": "Enlarged Cardiomediastinum",
    "cardiomegaly": "Cardiomegaly",
    "lung_opacity": "Lung Opacity",
    "lung_lesion": "Lung Lesion",
    "edema": "Edema",
    "consolidation": "Consolidation",
    "pneumonia": "Pneumonia",
    "atelectasis": "Atelectasis",
    "pneumothorax": "Pneumothorax",
    "effusion": "Pleural Effusion",
    "pleural_other": "Pleural Other",
    "fracture": "Fracture",
    "support_devices": "Support Devices",
}
CLEAR = "No Finding"
_VALUES = {"1": POSITIVE, "1.0": POSITIVE, "0": NEGATIVE, "0.0": NEGATIVE, "": UNKNOWN}
_UNCERTAIN = ("-1", "-1.0")


def observations(row: Mapping[str, str], *, uncertain: Mapping[str, float], where: str) -> dict[str, float]:
    """Read the observations of one report.

    Blank is not mentioned and NaN. Where "No Finding" is 1, blank is 0, but for devices, which are no finding.

    Args:
        row: Cells by column.
        uncertain: Value of -1 per finding.
        where: Sample, for the message.

    Returns:
        1, 0 or NaN per finding.

    Raises:
        DataError: A cell is none of the labeller's.

    Example:
        >>> row = dict.fromkeys(COLUMN_OF.values(), "") | {"No Finding": "1.0"}
        >>> found = observations(row, uncertain={}, where="doc")
        >>> found["edema"], found["support_devices"]
        (0.0, nan)
    """
    clear = row[CLEAR] in ("1", "1.0")
    found = {}
    for finding, column in COLUMN_OF.items():
        cell = row[column]
        if cell in _UNCERTAIN:
            found[finding] = uncertain[finding]
        elif cell not in _VALUES:
            raise DataError(what="A label is neither 1, 0, -1 nor blank", where=where, remedy="Use the list as published")
        else:
            found[finding] = NEGATIVE if clear and cell == "" and finding != "support_devices" else _VALUES[cell]
    return found


def uncertain_note(policy: str | Mapping[str, str]) -> str:
    """Say in the manifest what uncertain labels became.

    Example:
        >>> uncertain_note("unknown"), uncertain_note({"edema": "positive", "*": "negative"})
        ('Uncertain labels are unknown', 'Uncertain labels are edema positive, others negative')
    """
    if isinstance(policy, str):
        return f"Uncertain labels are {policy}"
    named = [f"{finding} {meaning}" for finding, meaning in policy.items() if finding != ANY_OTHER]
    return "Uncertain labels are " + ", ".join([*named, f"others {policy.get(ANY_OTHER, 'unknown')}"])
