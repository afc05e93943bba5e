# SPDX-License-Identifier: Apache-2.0
"""``medsetu monitor``: a folder of new score tables against a reference window, with alarms whose rate is stated and held."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.number import whole
from medsetu.core.run import write_json
from medsetu.core.table import read_table, write_table
from medsetu.evaluation.score_table import read_scores
from medsetu.experiment.journal import journal
from medsetu.report.number import DASH, number
from medsetu.shift.monitor import CHARTS, MonitorPlan, Watch, watch

PERIODS = {"file": "", "day": "D", "week": "W", "month": "M"}
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_SHOWN = 12  # latest batches in the terminal
_SUFFIXES = (".csv", ".parquet")


def main(config: Mapping[str, Any]) -> None:
    """Read the tables, follow the charts, write ``monitor.parquet``, ``monitor.csv`` and ``monitor.json``, print the latest batches.

    Args:
        config: Resolved configuration of ``configs/monitor.yaml``.

    Raises:
        ConfigError: A key is wrong, or no threshold is known.
        DataError: The folder or a column is missing, a score is no probability, or a film stands in two batches.
    """
    plan = MonitorPlan(**{field.name: config[field.name] for field in fields(MonitorPlan)})
    columns = {str(ours): str(theirs) for ours, theirs in (config.get("columns") or {}).items()}
    folder, output = (Path(str(config[key])).expanduser() for key in ("scores", "output"))
    with journal(None):
        tables = read_folder(folder, columns=columns)
        reference, batches = windows(
            tables, reference=config.get("reference"), first=whole(config, "reference_batches"), by=str(config["by"]), columns=columns
        )
        thresholds = thresholds_of([reference, *(films for _, films in batches)], given=config.get("threshold"))
        seen = watch(reference, batches, thresholds=thresholds, plan=plan)
        write_table(seen.table, output / "monitor.parquet")
        write_table(seen.table, output / "monitor.csv")
        write_json(output / "monitor.json", summary(seen, plan=plan, thresholds=thresholds))
    Console().print(view(seen, plan=plan))


def read_folder(folder: Path, *, columns: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Read every CSV and parquet file of a folder (or one file), each checked.

    Args:
        folder: Folder of score tables, or one table.
        columns: Our column name -> name in the files; ``date`` may be among them.

    Returns:
        File name without suffix -> table with ``PREDICTION_COLUMNS`` and ``date``: the date column, else a day in the file's name (such
        as 2026-03-01), else the day the file was written.

    Raises:
        DataError: The folder is missing or empty, or a table is not what it should be.
    """
    if not folder.exists():
        raise DataError(what="The folder of scores is missing", where=str(folder), remedy="Correct the path: scores=<folder>")
    paths = [folder] if folder.is_file() else sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    if not paths:
        raise DataError(
            what="The folder holds no score table", where=str(folder), remedy="Give CSV or parquet files with sample_id and score"
        )
    ours = {name: value for name, value in columns.items() if name != "date"}
    found = {}
    for path in paths:
        films = read_scores(path, columns=ours, assumed={"domain": "local", "label": np.nan})
        found[path.stem] = films.assign(date=_dates(path, len(films), column=columns.get("date", "date")))
    return found


def windows(
    tables: Mapping[str, pd.DataFrame], *, reference: object, first: int, by: str, columns: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, list[tuple[str, pd.DataFrame]]]:
    """Cut the tables into a reference window and batches in order of time.

    Args:
        tables: File name -> films with ``date``.
        reference: File name (without suffix) or path of the reference table; None takes the first batches.
        first: Batches of the reference where none is named.
        by: ``file``, ``day``, ``week`` or ``month``.
        columns: Our column name -> name in a reference table that lies elsewhere.

    Returns:
        The reference, and name and films of each batch.

    Raises:
        ConfigError: The period is unknown.
        DataError: A film stands in two batches, or no batch is left to watch.
    """
    if by not in PERIODS:
        raise ConfigError(what=f"'{by}' is no period", where="Key by", value=by, allowed=tuple(PERIODS))
    parts = dict(tables)
    named = None
    if reference is not None:
        path = Path(str(reference)).expanduser()
        named = parts.pop(path.stem) if path.stem in parts else read_folder(path, columns=columns or {})[path.stem]
    batches = _batches(parts, by=by)
    if named is None:
        named, batches = pd.concat([films for _, films in batches[:first]] or [pd.DataFrame()], ignore_index=True), batches[first:]
    if not batches:
        raise DataError(
            what="No batch is left to watch",
            where="Key scores",
            remedy="Give later score tables, or fewer reference_batches",
        )
    every = pd.concat([named, *(films for _, films in batches)], ignore_index=True)
    again = int(every.duplicated(["sample_id", "finding", "arm", "seed", "fold"]).sum())
    if again:
        raise DataError(what=f"{again} rows score a film a second time", where="Batches of the monitor", remedy="Give every film once")
    if every[["arm", "seed", "fold"]].drop_duplicates().shape[0] > 1:
        raise DataError(
            what="Several models are mixed", where="Columns arm, seed and fold", remedy="Monitor one model at a time: the one in use"
        )
    return named, batches


def thresholds_of(tables: list[pd.DataFrame], *, given: object) -> dict[str, float]:
    """Threshold of every finding: from the configuration, else from the column ``threshold``.

    Args:
        tables: Reference and batches.
        given: A probability for every finding, a mapping finding -> probability, or None.

    Returns:
        Finding -> threshold.

    Raises:
        ConfigError: A threshold is no probability.
        DataError: A finding has no threshold, or several.
    """
    every = pd.concat(tables, ignore_index=True)
    findings = sorted(set(every["finding"]))
    if given is not None:
        table: dict[str, Any] = dict(given) if isinstance(given, Mapping) else dict.fromkeys(findings, given)
        wrong = [value for value in table.values() if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1]
        if wrong:
            raise ConfigError(what=f"A threshold of {wrong[0]} is impossible", where="Key threshold", remedy="Give numbers in [0, 1]")
    else:
        known = every.dropna(subset=["threshold"]) if "threshold" in every.columns else every[:0].assign(threshold=[])
        several = known.groupby("finding")["threshold"].nunique()
        if (several > 1).any():
            name = several.index[several > 1][0]
            raise DataError(
                what=f"{int(several.max())} thresholds are mixed for '{name}'",
                where="Column threshold over the batches",
                remedy="A new threshold starts a new reference: give one, or set threshold=<probability>",
            )
        table = {str(name): value for name, value in known.groupby("finding")["threshold"].first().items()}
    missing = [name for name in findings if name not in table]
    if missing:
        raise DataError(what=f"'{missing[0]}' has no threshold", where="Key threshold", remedy="Give threshold=<probability in [0, 1]>")
    return {name: float(table[name]) for name in findings}


def summary(seen: Watch, *, plan: MonitorPlan, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """What a program would read: settings, limit, alarms."""
    return {
        "settings": asdict(plan),
        "thresholds": dict(thresholds),
        "limit": seen.limit,
        "reference_patients": seen.reference_patients,
        "batches": int(seen.table["batch"].nunique()),
        "alarm": bool(seen.alarms),
        "first_alarms": [dict(zip(("batch", "finding", "chart"), alarm, strict=True)) for alarm in seen.alarms],
    }


def view(seen: Watch, *, plan: MonitorPlan) -> Group:
    """Write the latest batches for a terminal of 80 columns."""
    table = Table(title=Text("Monitor (* alarm)", style="bold"), title_justify="left", box=box.SIMPLE_HEAD, width=80, pad_edge=False)
    table.add_column("batch", style="bold", overflow="fold", min_width=16)
    for chart in CHARTS:
        table.add_column(chart, overflow="fold", justify="right", max_width=11)
    table.add_column("films", justify="right", min_width=5)
    for finding, own in seen.table.groupby("finding", sort=False):
        start = own.drop_duplicates("chart").set_index("chart")["reference"]
        table.add_row(f"{finding}, reference", *(number(start[chart]) for chart in CHARTS), DASH)
        for name in list(dict.fromkeys(own["batch"]))[-_SHOWN:]:
            rows = own[own["batch"] == name].set_index("chart")
            cells = [number(rows.at[chart, "value"]) + ("*" if rows.at[chart, "alarm"] else "") for chart in CHARTS]
            table.add_row(Text(str(name)), *cells, str(rows.at[CHARTS[0], "n_samples"]))
        table.add_section()
    share = 1 - math.exp(-seen.table["batch"].nunique() / plan.average_run_length)
    told = [f"First alarm of {finding}, {chart}: batch {batch}" for batch, finding, chart in seen.alarms] or ["No alarm."]
    told.append(
        f"Where nothing changes, the first false alarm of all charts together comes after {plan.average_run_length:g} batches on average: "
        f"{share:.0%} of such folders would show one. Limit {seen.limit:.2f}, {seen.reference_patients} reference patients."
    )
    return Group(table, *(Text(line, style="red" if line.startswith("First") else "dim") for line in told))


def _dates(path: Path, rows: int, *, column: str) -> "pd.Series[pd.Timestamp]":
    raw = read_table(path)
    if column in raw.columns:
        dates = pd.to_datetime(raw[column], errors="coerce", format="ISO8601")
        if dates.isna().any():
            raise DataError(
                what=f"{int(dates.isna().sum())} values of column '{column}' are no dates", where=str(path), remedy="Write 2026-03-01"
            )
        return dates.reset_index(drop=True)
    if column != "date":
        raise DataError(what=f"There is no column '{column}'", where=str(path), remedy="Correct columns.date")
    found = _DAY.search(path.stem)
    day = pd.to_datetime("-".join(found.groups()), errors="coerce") if found else pd.NaT
    return pd.Series([pd.Timestamp.fromtimestamp(path.stat().st_mtime) if pd.isna(day) else day] * rows)


def _batches(parts: Mapping[str, pd.DataFrame], *, by: str) -> list[tuple[str, pd.DataFrame]]:
    if by == "file":
        return sorted(parts.items(), key=lambda item: (item[1]["date"].min(), item[0]))
    every = pd.concat(list(parts.values()) or [pd.DataFrame({"date": pd.to_datetime([])})], ignore_index=True)
    period = every["date"].dt.to_period(PERIODS[by]).map(lambda one: f"{one.start_time:%Y-%m-%d}")
    return [(str(name), films.reset_index(drop=True)) for name, films in every.groupby(period, sort=True)]
