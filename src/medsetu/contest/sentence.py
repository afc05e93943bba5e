# SPDX-License-Identifier: Apache-2.0
"""A tournament in plain words: who has won, or that nobody can be told to have, and what it would take."""

from collections.abc import Sequence
from math import isnan

import pandas as pd

from medsetu.contest.duel import films_needed, seeds_needed
from medsetu.contest.family import DECLARED
from medsetu.contest.optimism import ARGMAX, NESTED
from medsetu.contest.tournament import Tournament

_NAMED = 3  # contestants that a sentence names


def sentences(found: Tournament) -> list[str]:
    """Say what a tournament has shown.

    Args:
        found: The tournament.

    Returns:
        Sentences: winner, equivalence, reference, size, optimism, claim.
    """
    return [
        part
        for part in (
            _winner(found),
            _reference(found),
            _equal(found),
            *_size(found),
            _optimism(found),
            _joint(found),
            f"What this may claim: {_claim(found)}.",
        )
        if part
    ]


def _winner(found: Tournament) -> str:
    table = found.standings
    if not found.leader:
        return "No contestant has an AUROC: see the reasons in the table."
    top = table[table["leads"]].iloc[0]
    size = len(table)
    pairs = int(found.pairs.loc[found.pairs["metric"] == "auroc", "p_pairs"].notna().sum())
    if not pairs:
        return f"{found.leader} has the largest AUROC, {top['auroc']:.3f}, but no pair could be tested: {_why_untested(found)}."
    number = f"AUROC {top['auroc']:.3f}, {found.plan.level:.0%} interval {top['auroc_low']:.3f} to {top['auroc_high']:.3f}"
    if found.winner:
        others = f"each of the other {size - 1}" if size > 2 else "the other"
        return f"The winner is {found.winner}: {number}; it is better than {others}, after Holm over {_count(pairs, 'pair')}."
    tied = table[table["tied_with_leader"] & ~table["leads"]]["contestant"].tolist()
    if len(tied) == size - 1:
        return (
            f"No winner can be named: {found.leader} leads with {number}, "
            f"but none of the other {size - 1} can be told apart from it, after Holm over {_count(pairs, 'pair')}."
        )
    worse = size - 1 - len(tied)
    rest = "the other one is" if worse == 1 else f"the other {worse} are"
    return (
        f"No winner can be named: {found.leader} leads with {number}, but {_names(tied)} cannot be told apart from it, "
        f"after Holm over {_count(pairs, 'pair')}; {rest} told to be worse."
    )


def _why_untested(found: Tournament) -> str:
    notes = found.pairs.loc[(found.pairs["metric"] == "auroc") & (found.pairs["note"].fillna("") != ""), "note"]
    return str(notes.iloc[0]).split("; ")[0] if len(notes) else "no interval"


def _reference(found: Tournament) -> str:
    plan = found.plan
    if not plan.reference:
        return ""
    rows = found.pairs[(found.pairs["family"] == DECLARED) & found.pairs["p_holm"].notna()]
    told = rows[rows["p_holm"] <= plan.alpha]
    better, worse = told.loc[told["value"] > 0, "first"].tolist(), told.loc[told["value"] < 0, "first"].tolist()
    parts = [f"{_names(better)} better"] if better else []
    parts += [f"{_names(worse)} worse"] if worse else []
    rest = len(rows) - len(told)
    parts += [f"{rest} not told apart from it"] if rest else []
    return f"Against {plan.reference} ({_count(len(rows), 'comparison')}, Holm): {'; '.join(parts) or 'nothing could be tested'}."


def _equal(found: Tournament) -> str:
    rows = found.pairs[found.pairs["family"] == DECLARED]
    equal = rows[rows["p_equivalent_holm"] <= found.plan.alpha / 2]
    tested = int(rows["p_equivalent_holm"].notna().sum())
    if not tested:
        return ""
    if equal.empty:
        return (
            f"No two contestants are shown to be equal within {found.plan.margin:g} (TOST, Holm): not told apart is not the same as equal."
        )
    named = ", ".join(f"{row['first']} and {row['second']}" for row in equal.head(_NAMED).to_dict("records"))
    more = f" and {len(equal) - _NAMED} more" if len(equal) > _NAMED else ""
    return f"Shown to be equal within {found.plan.margin:g} (TOST, Holm): {named}{more}, {len(equal)} of {_count(tested, 'pair')}."


def _size(found: Tournament) -> list[str]:
    rows = found.pairs[(found.pairs["metric"] == "auroc") & found.pairs["power"].notna()]
    if rows.empty or found.winner:
        return []
    plan, first = found.plan, rows.iloc[0]
    negative = int(first["n_samples"] - first["n_positive"])
    least, most = rows["power"].min(), rows["power"].max()
    chance = f"{least:.0%}" if round(least, 2) == round(most, 2) else f"{least:.0%} to {most:.0%}"
    said = (
        f"With {first['n_positive']} positive and {negative} negative films, a true difference of {plan.smallest:g} "
        f"between two contestants is found with a probability of {chance}, each pair by itself."
    )
    return [said, _needed(found, rows)]


def _needed(found: Tournament, rows: pd.DataFrame) -> str:
    plan = found.plan
    near = rows[(rows["first"] == found.leader) | (rows["second"] == found.leader)]
    single = near["n_per_class"].max(skipna=False)
    head = f"To find a true difference of {plan.smallest:g} from {found.leader} with {plan.power:.0%} power"
    if isnan(single):
        seeds, films = _more_seeds(found, near)
        enough = (
            f"with {seeds} seeds it takes {films:.0f} independent films per class for one comparison" if films == films else "plan anew"
        )
        return f"{head}, no number of films is enough with {_count(int(near['seeds'].min()), 'seed')}: {enough}."
    many = (
        "no number of films is enough with so few seeds"
        if isnan(found.n_family)
        else f"{found.n_family:.0f} when Holm is to hold over {_count(len(rows), 'pair')}"
    )
    return f"{head}, it takes {single:.0f} independent films per class for one comparison; {many}."


def _more_seeds(found: Tournament, near: pd.DataFrame) -> tuple[int, float]:
    """Seeds and films per class that the pair whose seeds scatter most would take."""
    row = near.assign(single=near["seed_variance"] * near["seeds"]).sort_values("single").iloc[-1]
    aurocs = found.standings.set_index("contestant")["auroc"]
    middle = float(aurocs[row["first"]] + aurocs[row["second"]]) / 2
    single, widening = float(row["single"]), float(row["widening"])
    seeds = seeds_needed(found.plan, variance=widening * single)
    return seeds, films_needed(found.plan, auroc=middle, correlation=float(row["correlation"]), extra=single / seeds, widening=widening)


def _optimism(found: Tournament) -> str:
    told = found.optimism
    if not told.method:
        return ""
    if told.method == ARGMAX:
        return (
            f"Whoever leads is flattered by about {told.optimism:.3f} (bootstrap of the argmax over the test films; "
            f"{told.equal:.3f} if all were truly equal): quote {told.winner} as {told.honest:.3f}, not {told.apparent:.3f}."
        )
    where = "in each outer fold" if told.method == NESTED else "on its validation films"
    chosen = ", ".join(f"{name} {'once' if count == 1 else f'{count} times'}" for name, count in told.chosen[:_NAMED])
    return (
        f"Choosing {where} by validation alone reaches {told.honest:.3f}, where {told.winner} reaches {told.apparent:.3f}: "
        f"optimism {told.optimism:+.3f} (chosen: {chosen})."
    )


def _joint(found: Tournament) -> str:
    """DeLong's joint test, where every contestant is a single model: over several seeds it would leave out what they add."""
    chi2, freedom, p = found.joint
    if not freedom or len(found.standings) < 3 or int(found.standings["seeds"].max()) > 1:
        return ""
    written = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return f"DeLong's joint test that all are equal: chi-square {chi2:.2f} on {freedom} degrees of freedom, {written}."


def _claim(found: Tournament) -> str:
    fewest = found.standings.sort_values("seeds", kind="stable").iloc[0]
    where = f"{found.plan.finding.replace('_', ' ')}, {found.title}, {found.unit}"
    return f"{fewest['claim']} ({where})"


def _names(names: Sequence[str]) -> str:
    if len(names) > _NAMED + 1:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" + ("" if number == 1 else "s")
