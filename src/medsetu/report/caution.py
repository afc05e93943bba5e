# SPDX-License-Identifier: Apache-2.0
"""What may not be claimed: sentences that follow from the tables themselves, so that no author can forget them."""

import pandas as pd

from medsetu.core.sample import EXTERNAL, GLOBAL, LOCAL
from medsetu.evaluation.delong import CLAIM_SEEDS
from medsetu.report.content import Report
from medsetu.shift.shortcut import inflated_sides

SITES_FOR_A_CLAIM = 5


def cautions(report: Report) -> list[str]:
    """Say what a reader must not conclude.

    Args:
        report: The report.

    Returns:
        Sentences, the gravest first.
    """
    tested = report.predictions[report.predictions["split"] == "test"]
    found = [
        *_shortcut(report),
        *_seen(tested),
        *_sites(tested),
        *_collection(report),
        *_external(tested),
        *_seeds(tested),
        *_units(tested),
    ]
    return [*found, *_openings(report), *_always()]


def _shortcut(report: Report) -> list[str]:
    ladder = report.ladder
    if ladder.empty:
        return ["No shortcut ladder was climbed: nobody knows how much of these numbers a shortcut would reach."]
    sides = sorted(inflated_sides(ladder))
    if not sides:
        return []
    return [
        f"Reference inflated ({', '.join(sides)}): what a model reaches there is not skill alone, and a drop from it may be loss of the "
        "shortcut, not of skill."
    ]


def _seen(tested: pd.DataFrame) -> list[str]:
    films = tested.drop_duplicates("sample_id")
    marked = films[films["seen"].fillna("") != ""]
    return [
        f"{len(own)} {domain} test films may have been seen in pretraining ({'; '.join(sorted(set(own['seen'])))}): that test is no "
        "external evidence, and the transfer matrix is given with and without them."
        for domain, own in marked.groupby("domain")
    ]


def _sites(tested: pd.DataFrame) -> list[str]:
    local = tested[tested["domain"] == LOCAL]
    if local.empty:
        return []
    known = sorted({str(name) for name in local["site"].dropna() if name})
    named = ", ".join(known) or ", ".join(sorted(map(str, local["release"].dropna().unique())))
    if len(known) >= SITES_FOR_A_CLAIM:
        return [f"The local side is {len(known)} sites; a claim about other sites needs a prediction interval."]
    size = "one site" if len(known) <= 1 else f"{len(known)} sites"
    return [
        f"The local side is {size} ({named}): nothing is claimed about a country or any other hospital. "
        f"That needs at least {SITES_FOR_A_CLAIM} sites and a prediction interval."
    ]


def _collection(report: Report) -> list[str]:
    sets = [card.name for card in report.cards if card.collection == "case-control"]
    unknown = [card.name for card in report.cards if card.collection == "unknown"]
    said = []
    if sets:
        said.append(
            f"Case-control films ({', '.join(sets)}): clear cases against clear normals look easier than a clinic (spectrum bias), and "
            "predictive values hold only at the stated prevalences."
        )
    if unknown:
        said.append(f"How patients were chosen is not known ({', '.join(unknown)}): spectrum bias cannot be ruled out.")
    return said


def _external(tested: pd.DataFrame) -> list[str]:
    if EXTERNAL in set(tested["domain"]):
        return []
    return ["These are internal tests: no external site was tested."]


def _seeds(tested: pd.DataFrame) -> list[str]:
    seeds = int(tested["seed"].nunique())
    if not 0 < seeds < CLAIM_SEEDS:
        return []
    return [f"{seeds} training seed{'s' if seeds > 1 else ''}: descriptive. A claim about the recipe needs at least {CLAIM_SEEDS}."]


def _units(tested: pd.DataFrame) -> list[str]:
    sides = [side for side in (GLOBAL, LOCAL, EXTERNAL) if tested.loc[tested["domain"] == side, "patient_id"].isna().any()]
    if not sides:
        return []
    return [f"Films without patient ids ({', '.join(sides)}) count as if each were a patient: intervals may be too narrow."]


def _openings(report: Report) -> list[str]:
    if report.openings <= 1:
        return []
    return [f"The test was opened {report.openings} times: every look after the first makes the best number look better than it is."]


def _always() -> list[str]:
    return [
        "No difference found is not equality: read the interval and the power, not the absence of a verdict.",
        "A threshold chosen on fewer than 50 validation positives is not established.",
        "Saliency maps are not included: published sanity checks show that they are no evidence of what a network looks at.",
        "This is a research report. It is not a medical device and no basis for the care of a patient.",
    ]
