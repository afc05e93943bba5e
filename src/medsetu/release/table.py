# SPDX-License-Identifier: Apache-2.0
"""Bring your own data: a label table (CSV, TSV, Parquet) and a folder of images, joined by configuration alone."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN, check_findings, finding_name
from medsetu.core.sample import age_in_years, pseudonym, sex_letter
from medsetu.release.base import IMAGE_SUFFIXES, ReleaseIndex, ending, finish_index, image_files, require_file, require_folder

FACTS = ("image", "patient", "study", "site", "country", "modality", "view", "laterality", "sex", "age", "device", "split")
POLICY: dict[str, float] = {"unknown": UNKNOWN, "positive": POSITIVE, "negative": NEGATIVE}
ANY_OTHER = "*"

_BLANK = ("", "na", "n/a", "nan", "null")
_VIEWS = {"pa": "PA", "ap": "AP", "ll": "LL", "l": "LL", "lat": "LL", "lateral": "LL", "cc": "CC", "mlo": "MLO"}
_SIDES = {"l": "L", "left": "L", "r": "R", "right": "R", "b": "B", "both": "B", "bilateral": "B"}
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test", "testing": "test"}
_RULE_KEYS = ("column", "positive", "negative", "unknown")


UNKEYED = "Patient numbers were hashed without a secret key and could be found again by trial: set MEDSETU_PSEUDONYM_KEY"


@dataclass(frozen=True)
class Table:
    """Any label table and image folder; a row may also name a volume, the folder of a DICOM series, or a member such as ``bold.nii.gz/3``.

    Attributes:
        root: Folder of the images; paths never leave it.
        labels: Label table; as given, or relative to root. ``.csv``, ``.tsv``, ``.tab``, ``.txt`` or ``.parquet``.
        finding_columns: Finding to column (1 present, 0 absent, -1 uncertain, blank), or to ``{column, positive, negative, unknown}``
            with lists of values, where ``"*"`` stands for any other value that is not blank.
        columns: Fact to column. ``image`` is required: the path below root, or its beginning when ``suffix`` completes it. Further facts:
            patient, study, site, country, modality, view, laterality, sex, age (years or DICOM age), device, split.
        label_policy: What ``blank`` and ``uncertain`` (-1) mean: unknown, positive or negative; both unknown unless said otherwise.
        country: ISO 3166 alpha-3 code, where no column tells it.
        modality: DICOM's word (CR, DX, MG, CT, MR, US), where no column tells it.
        site: Hospital or centre, where no column tells it.
        suffix: Ending to add to each image name, such as ``.png``.
        separator: Field separator; by the ending of the table when empty.
        name: Name of the release in tables.
    """

    root: Path
    labels: Path
    finding_columns: Mapping[str, Any]
    columns: Mapping[str, str] = field(default_factory=lambda: {"image": "image"})
    label_policy: Mapping[str, str] = field(default_factory=dict)
    country: str = ""
    modality: str = ""
    site: str = ""
    suffix: str = ""
    separator: str = ""
    name: str = "table"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "labels", Path(self.labels))
        where = f"Release '{self.name}'"
        _known(self.columns, FACTS, where=f"{where}, key columns")
        if "image" not in self.columns:
            raise ConfigError(what="No column holds the image", where=f"{where}, key columns", remedy="Write columns: {image: <column>}")
        _known(self.label_policy, ("blank", "uncertain"), where=f"{where}, key label_policy")
        _known(self.label_policy.values(), tuple(POLICY), where=f"{where}, key label_policy")
        _known(self.finding_columns, [finding_name(name) for name in self.finding_columns], where=f"{where}, key finding_columns")
        check_findings(self.findings, self.findings, where=f"{where}, key finding_columns")

    @property
    def findings(self) -> tuple[str, ...]:
        """Findings in the order of the configuration."""
        return tuple(self.finding_columns)

    def index(self) -> ReleaseIndex:
        """Join table and folder by path.

        Returns:
            The index; rows without image and images without row are listed as excluded and counted in the notes.

        Raises:
            ConfigError: A named column is not in the table (the nearest one is offered).
            DataError: Folder or table is missing or unreadable, an image has two rows, a path leaves the root, or a label is not one of the
                values it may have.
        """
        require_folder(self.root, release=self.name)
        frame = self._read()
        paths = self._paths(frame)
        files = set(image_files(self.root, suffixes=None))
        there = paths.map(_lookup(files)).astype(bool)
        used = set(paths[there])
        orphans = sorted(path for path in files if ending(path) in IMAGE_SUFFIXES and not _is_used(path, used))
        excluded = [(path or f"row {number + 1}", "row without image") for number, path in paths[~there].items()]  # type: ignore[operator]
        excluded += [(path, "image without row") for path in orphans]
        rows, notes = self._samples(frame[there], paths[there])
        notes += [f"{int((~there).sum())} rows without image and {len(orphans)} images without row were left out"] if excluded else []
        notes += [] if "patient" in self.columns else ["No patient ids: splits and intervals are by image"]
        notes += [UNKEYED] if "patient" in self.columns and not os.environ.get("MEDSETU_PSEUDONYM_KEY") else []
        return finish_index(rows, release=self.name, root=self.root, findings=self.findings, excluded=excluded, notes=notes)

    def _read(self) -> pd.DataFrame:
        path = require_file(self.labels if self.labels.is_file() else self.root / self.labels, release=self.name)
        separator = self.separator or ("\t" if path.suffix.lower() in (".tsv", ".tab") else ",")
        try:
            if path.suffix.lower() == ".parquet":
                frame = pd.read_parquet(path)
            else:
                frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except (ValueError, OSError) as error:
            raise DataError(
                what=f"The label table cannot be read ({type(error).__name__})",
                where=str(path),
                remedy="Save it as UTF-8 CSV, TSV or Parquet, and name its separator",
            ) from error
        frame.columns = frame.columns.map(lambda column: str(column).strip())
        needed = dict.fromkeys([*self.columns.values(), *(_rule(spec)["column"] for spec in self.finding_columns.values())])
        for wanted in needed:
            if wanted not in frame.columns:
                raise ConfigError(
                    what=f"Column '{wanted}' is not in the label table", where=str(path), value=wanted, allowed=list(frame.columns)
                )
        return frame[list(needed)].map(_text)

    def _paths(self, frame: pd.DataFrame) -> pd.Series:
        names = frame[self.columns["image"]].str.replace("\\", "/")
        paths: pd.Series = names.map(lambda name: PurePosixPath(name + self.suffix).as_posix() if name else "")
        for path in paths:
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise DataError(
                    what="A row points outside the image folder",
                    where=f"Release '{self.name}', column '{self.columns['image']}'",
                    remedy="Write paths relative to root, or make root the folder that holds all images",
                )
        twice = paths[(paths != "") & paths.duplicated()]
        if len(twice):
            raise DataError(
                what=f"{len(twice)} images have more than one row",
                where=f"Release '{self.name}', first: {self.name}/{twice.iloc[0]}",
                remedy="Keep one row per image, or put the values of several rows into one",
            )
        return paths

    def _samples(self, frame: pd.DataFrame, paths: pd.Series) -> tuple[pd.DataFrame, list[str]]:
        rows = pd.DataFrame({"path": paths, "country": self.country, "modality": self.modality, "site": self.site})
        notes: list[str] = []
        for fact, column in self.columns.items():
            if fact in _READERS:
                target, reader = _READERS[fact]
                rows[target] = [reader(self.name, cell) for cell in frame[column]]
                unread = rows[target].isin([""]) | rows[target].isna()
                notes += self._unread(fact, column, count=int((unread & ~frame[column].str.lower().isin(_BLANK)).sum()))
        policy = {"blank": "unknown", "uncertain": "unknown", **self.label_policy}
        for finding, spec in self.finding_columns.items():
            rows[finding] = self._labels(frame, paths, rule=_rule(spec), policy=policy)
        return rows, notes

    def _unread(self, fact: str, column: str, *, count: int) -> list[str]:
        if count and fact == "split":
            raise DataError(
                what=f"{count} values of column '{column}' are not train, val or test",
                where=f"Release '{self.name}'",
                remedy="Correct the values, or leave the column out and let medsetu split",
            )
        return [f"{count} values of column '{column}' are not understood as {fact} and are left unknown"] if count else []

    def _labels(self, frame: pd.DataFrame, paths: pd.Series, *, rule: Mapping[str, Any], policy: Mapping[str, str]) -> pd.Series:
        cells = frame[rule["column"]].map(_word)
        values = {cell: _label(cell, rule=rule, policy=policy) for cell in cells.unique()}
        strange = cells.map(lambda cell: values[cell] is None).astype(bool)
        if strange.any():
            raise DataError(
                what=f"{int(strange.sum())} values of column '{rule['column']}' are neither positive nor negative nor unknown",
                where=f"Release '{self.name}', first: {self.name}/{paths[strange].iloc[0]}",
                remedy="List the values under positive, negative or unknown in finding_columns; '*' stands for any other value",
            )
        labels: pd.Series = cells.map(values).astype("float64")
        return labels


def _lookup(files: set[str]) -> Callable[[str], bool]:
    """Tell whether a path is a file, the folder of a series, or a member below a file."""
    folders = {parent.as_posix() for file in files for parent in PurePosixPath(file).parents} - {"."}

    def is_there(path: str) -> bool:
        return path in files or path in folders or any(parent.as_posix() in files for parent in PurePosixPath(path).parents)

    return is_there


def _is_used(file: str, used: set[str]) -> bool:
    """Whether a row names the file, a folder that holds it, or one of its members."""
    return any(parent in used for parent in (file, *(parent.as_posix() for parent in PurePosixPath(file).parents))) or any(
        path.startswith(f"{file}/") for path in used
    )


def _known(words: Any, allowed: Sequence[str], *, where: str) -> None:  # noqa: ANN401 - keys or values of a configuration
    for word in words:
        if word not in allowed:
            raise ConfigError(what=f"'{word}' is not known here", where=where, value=str(word), allowed=list(allowed))


def _rule(spec: Any) -> dict[str, Any]:  # noqa: ANN401 - a column name, or a mapping from YAML
    """Write a finding's source the long way: column, and the words of each list."""
    long = {"column": spec} if isinstance(spec, str) else dict(spec)
    _known(long, _RULE_KEYS, where="Key finding_columns")
    if "column" not in long:
        raise ConfigError(what="A finding names no column", where="Key finding_columns", remedy="Write {column: <column>, positive: [...]}")
    lists = {key: tuple(_word(value) for value in long.get(key, ())) for key in _RULE_KEYS[1:]}
    return {"column": str(long["column"]).strip(), **lists}


def _label(cell: str, *, rule: Mapping[str, Any], policy: Mapping[str, str]) -> float | None:
    """Value of one cell; None when the rule does not cover it.

    Example:
        >>> rule, policy = _rule({"column": "x", "positive": ["TB"], "negative": ["*"]}), {"blank": "unknown", "uncertain": "unknown"}
        >>> [_label(cell, rule=rule, policy=policy) for cell in ("tb", "healthy", "", "-1")]
        [1.0, 0.0, nan, nan]
    """
    for key in ("positive", "negative", "unknown"):
        if cell in rule[key]:
            return POLICY[key]
    if cell in _BLANK:
        return POLICY[policy["blank"]]
    if cell == "-1":
        return POLICY[policy["uncertain"]]
    if not any(rule[key] for key in ("positive", "negative", "unknown")):
        return {"1": POSITIVE, "true": POSITIVE, "0": NEGATIVE, "false": NEGATIVE}.get(cell)
    return next((POLICY[key] for key in ("positive", "negative", "unknown") if ANY_OTHER in rule[key]), None)


def _text(cell: Any) -> str:  # noqa: ANN401 - any cell of a parquet file
    """Write a cell as text: missing is empty, whole numbers lose their point.

    Example:
        >>> _text(17.0), _text(None), _text(" a ")
        ('17', '', 'a')
    """
    if cell is None or cell is pd.NaT or cell is pd.NA or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _word(cell: Any) -> str:  # noqa: ANN401 - a cell, or a value from YAML
    """Write a value so that 1, 1.0 and "1", or TB and tb, are the same word.

    Example:
        >>> _word("1.0"), _word(True), _word(" TB ")
        ('1', 'true', 'tb')
    """
    text = _text(cell).lower()
    try:
        return _text(float(text)) or text
    except (ValueError, OverflowError):
        return text


def _age(text: str) -> float:
    try:
        years = float(text)
    except ValueError:
        return age_in_years(text)
    return years if 0 <= years <= 120 else UNKNOWN


def _blank_or(value: str, cell: str) -> str | float:
    return UNKNOWN if cell.lower() in _BLANK else value


_READERS: dict[str, tuple[str, Callable[[str, str], str | float]]] = {  # fact -> column of the samples, and how a cell becomes a value
    "patient": ("patient_id", lambda release, cell: _blank_or(pseudonym(release, cell), cell)),
    "study": ("study_id", lambda release, cell: _blank_or(pseudonym(release, f"study/{cell}"), cell)),
    "site": ("site", lambda _, cell: cell),
    "country": ("country", lambda _, cell: cell.upper()),
    "modality": ("modality", lambda _, cell: cell.upper()),
    "view": ("view", lambda _, cell: _VIEWS.get(cell.lower(), "")),
    "laterality": ("laterality", lambda _, cell: _SIDES.get(cell.lower(), "")),
    "sex": ("sex", lambda _, cell: sex_letter(cell)),
    "age": ("age_years", lambda _, cell: _age(cell)),
    "device": ("device", lambda _, cell: cell),
    "split": ("official_split", lambda _, cell: _SPLITS.get(cell.lower(), "")),
}
