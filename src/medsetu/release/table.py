# SPDX-License-Identifier: Apache-2.0
"""Bring your own data: a label table (CSV, XLSX, Parquet) or Pascal VOC boxes, and a folder of images, joined by configuration alone."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import check_findings, finding_name
from medsetu.core.vote import MAJORITY, POLICIES, fuse_votes
from medsetu.reader.sheet import MissingColumnError, read_columns
from medsetu.release.base import IMAGE_SUFFIXES, ReleaseIndex, ending, finish_index, image_files, require_file, require_folder
from medsetu.release.drawing import Row
from medsetu.release.table_boxes import UNLISTED, box_rows, box_rule, fold_objects, is_box_folder
from medsetu.release.table_cell import BLANK, FACT_READERS, POLICY, label_of, require_known, rule_of, text_of, word_of
from medsetu.release.table_drawing import check_boxes, check_masks, listed_boxes, object_boxes, stored_masks
from medsetu.release.table_path import advice, image_paths, lookup, usage

FACTS = ("image", "patient", "study", "site", "country", "modality", "view", "laterality", "sex", "age", "device", "split", "reader")

TABLES = (".csv", ".tsv", ".tab", ".txt", ".xlsx", ".xlsm", ".xls", ".parquet")

UNKEYED = "Patient numbers were hashed without a secret key and could be found again by trial: set MEDSETU_PSEUDONYM_KEY"


@dataclass(frozen=True)
class Table:
    """Any label table and image folder; a row may also name a volume, the folder of a DICOM series, or a member such as ``bold.nii.gz/3``.

    Attributes:
        root: Folder of the images; paths never leave it.
        labels: Label table; as given, or relative to root. ``.csv``, ``.tsv``, ``.tab``, ``.txt`` (packed too, ``.gz``), ``.xlsx`` or
            ``.parquet``, in which notes may stand above the header; or a folder of Pascal VOC files (``.xml``), each named as its image:
            ``finding_columns`` is then finding to object, or objects.
        finding_columns: Finding to column (1, yes or positive; 0, no or negative; -1 uncertain; blank), or to ``{column, positive,
            negative, unknown}`` with lists of values, where ``"*"`` stands for any other value that is not blank. With ``separator`` a cell
            holds several values (``Effusion|Mass``).
        columns: Fact to column; None where the table does not tell it. ``image`` is required: the path below root, or its beginning when
            ``suffix`` completes it. Further facts: patient, study, site, country, modality, view, laterality, sex, age (years or AS),
            device, split; and reader, where each reader of an image has a row: every vote is kept, and ``policy`` makes the label.
        label_policy: What ``blank`` and ``uncertain`` (-1) mean: unknown, positive or negative; both unknown unless said otherwise. Of
            boxes ``unlisted``: negative where an image without a file shows none of the objects; it is left out unless said otherwise.
        country: ISO 3166 alpha-3 code, where no column tells it.
        modality: DICOM's word (CR, DX, MG, CT, MR, US), where no column tells it.
        site: Hospital or centre, where no column tells it.
        suffix: Ending to add to each image name, such as ``.png``.
        prefix: Beginning of each image name to leave out, such as ``D:/study/films``; root itself need not be named.
        separator: Field separator; the one with which the columns are found when empty.
        policy: How votes become a label: ``majority``, ``any-positive`` or ``unanimous``; ``manifest.consensus`` may say otherwise.
        boxes: What readers drew, a table with a row per box: ``{file, image, box: [four columns], finding, reader, form, names, suffix}``,
            see ``table_drawing.listed_boxes``. The boxes of Pascal VOC labels are taken without it.
        masks: Finding, or structure, to the folder below root that holds its masks, each named as its image; not 0 is drawn.
        name: Name of the release in tables.
    """

    root: Path
    labels: Path
    finding_columns: Mapping[str, Any]
    columns: Mapping[str, Any] = field(default_factory=lambda: {"image": "image"})
    label_policy: Mapping[str, str] = field(default_factory=dict)
    country: str = ""
    modality: str = ""
    site: str = ""
    suffix: str = ""
    prefix: str = ""
    separator: str = ""
    policy: str = MAJORITY
    boxes: Mapping[str, Any] = field(default_factory=dict)
    masks: Mapping[str, str] = field(default_factory=dict)
    name: str = "table"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "labels", Path(self.labels))
        where = f"Release '{self.name}'"
        pairs = {"columns": "{<name>: <column>}", "finding_columns": "{<name>: <column>}", "label_policy": "{blank: negative}"}
        for key, form in pairs.items():
            if not isinstance(getattr(self, key), Mapping):
                raise ConfigError(what="No mapping of names to values", where=f"{where}, key {key}", remedy=f"Write {key}: {form}")
        require_known(self.columns, FACTS, where=f"{where}, key columns")
        object.__setattr__(self, "columns", {fact: str(column).strip() for fact, column in self.columns.items() if column is not None})
        if "image" not in self.columns:
            raise ConfigError(what="No column holds the image", where=f"{where}, key columns", remedy="Write columns: {image: <column>}")
        require_known(self.label_policy, ("blank", "uncertain", UNLISTED), where=f"{where}, key label_policy")
        require_known(self.label_policy.values(), tuple(POLICY), where=f"{where}, key label_policy")
        require_known([self.policy], POLICIES, where=f"{where}, key policy")
        for key, check in (("boxes", check_boxes), ("masks", check_masks)):
            object.__setattr__(self, key, check(getattr(self, key), where=where))
        require_known(self.finding_columns, [finding_name(name) for name in self.finding_columns], where=f"{where}, key finding_columns")
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
        there = paths.map(lookup(files)).astype(bool)
        used = set(paths[there])
        masked = tuple(f"{PurePosixPath(folder).as_posix()}/" for folder in self.masks.values())
        spare = (path for path in files if ending(path) in IMAGE_SUFFIXES and not path.startswith(masked))
        is_used = usage(used)
        orphans = sorted(path for path in spare if not is_used(path))
        hint = advice(paths[~there], orphans)
        if not there.any():
            raise DataError(
                what=f"None of the {len(paths)} rows of the label table names one of the {len(orphans)} images",
                where=f"Release '{self.name}', images in {self.root}",
                remedy=hint or "Correct root, or columns.image: it names the column that holds the names of the files",
            )
        excluded = [(path or f"row {number + 1}", "row without image") for number, path in paths[~there].items()]  # type: ignore[operator]
        excluded += [(path, "image without row") for path in orphans]
        rows, notes = self._samples(frame[there], paths[there])
        told = f"{int((~there).sum())} rows without image and {len(orphans)} images without row were left out"
        notes += [f"{told}{f'. {hint}' if hint else ''}"] if excluded else []
        notes += [] if "patient" in self.columns else ["No patient ids: splits and intervals are by image"]
        notes += [UNKEYED] if "patient" in self.columns and not os.environ.get("MEDSETU_PSEUDONYM_KEY") else []
        readings = rows[["path", "reader", *self.findings]] if "reader" in self.columns else None
        if readings is not None:
            rows = self._fuse(rows)
            notes.append(f"Labels are the {self.policy} of the readers of each image, unless manifest.consensus says otherwise")
        elif self._boxes is not None:
            rows = fold_objects(rows, findings=self.findings)
        return finish_index(
            rows,
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=notes,
            readings=readings,
            drawn=self._drawn(used),
        )

    def _drawn(self, images: set[str]) -> list[Row]:
        """Boxes of the labels, of a table of their own, and masks."""
        drawn = object_boxes(self._boxes, self._rules(), images=images, release=self.name) if self._boxes is not None else []
        drawn += listed_boxes(self.boxes, root=self.root, prefix=self.prefix, release=self.name) if self.boxes else []
        return drawn + (stored_masks(self.masks, root=self.root, images=images, release=self.name) if self.masks else [])

    @property
    def _boxes(self) -> Path | None:
        """Folder of boxes, where the labels are that."""
        return next((path for path in (self.labels, self.root / self.labels) if is_box_folder(path)), None)

    def _rules(self) -> dict[str, dict[str, Any]]:
        drawn = self._boxes is not None
        return {finding: rule_of(box_rule(spec) if drawn else spec) for finding, spec in self.finding_columns.items()}

    def _fuse(self, rows: pd.DataFrame) -> pd.DataFrame:
        """One row per image: votes by the policy, facts that all readers' rows tell alike."""
        facts = [name for name in rows.columns if name not in ("reader", *self.findings)]
        told = rows[facts].drop_duplicates()
        for rule, wrong in (
            ("A reader has two rows for one image", rows.loc[rows.duplicated(["path", "reader"]), "path"]),
            ("Rows of one image tell different facts", told.loc[told["path"].duplicated(), "path"]),
        ):
            if len(wrong):
                raise DataError(
                    what=rule, where=f"Release '{self.name}', first: {self.name}/{wrong.iloc[0]}", remedy="Correct the label table"
                )
        fused = fuse_votes(rows, key="path", findings=self.findings, policy=self.policy)
        return told.merge(fused, left_on="path", right_index=True)

    def _read(self) -> pd.DataFrame:
        boxes = self._boxes
        if boxes is not None:
            every = self.label_policy.get(UNLISTED) == "negative"
            return self._needed(box_rows(boxes, root=self.root, release=self.name, every=every), boxes)
        path = self.labels if self.labels.exists() else self.root / self.labels
        if path.is_dir():
            raise DataError(
                what="The labels are a folder without Pascal VOC files (.xml)", where=str(path), remedy="Name the label table itself"
            )
        require_file(path, release=self.name)
        if ending(path.name.removesuffix(".gz")) not in TABLES:
            raise ConfigError(
                what="The label table is of a kind that is not read", where=str(path), remedy=f"Save it as one of {', '.join(TABLES)}"
            )
        if path.suffix.lower() == ".parquet":
            return self._needed(_parquet(path), path)
        needed = self._wanted()
        try:
            rows = read_columns(path, columns=needed, separator=self.separator)
        except MissingColumnError as missing:
            raise _not_there(missing.name, missing.header, path) from missing
        return pd.DataFrame(rows, columns=needed, dtype=str)

    def _wanted(self) -> list[str]:
        return list(dict.fromkeys([*self.columns.values(), *(rule["column"] for rule in self._rules().values())]))

    def _needed(self, frame: pd.DataFrame, path: Path) -> pd.DataFrame:
        for wanted in self._wanted():
            if wanted not in frame.columns:
                raise _not_there(wanted, list(frame.columns), path)
        return frame[self._wanted()].map(text_of)

    def _paths(self, frame: pd.DataFrame) -> pd.Series:
        column = self.columns["image"]
        where = f"Release '{self.name}', column '{column}'"
        paths = image_paths(frame[column], root=self.root, prefix=self.prefix, suffix=self.suffix, where=where)
        twice = paths[(paths != "") & paths.duplicated()]
        if len(twice) and "reader" not in self.columns and self._boxes is None:
            raise DataError(
                what=f"{len(twice)} images have more than one row",
                where=f"Release '{self.name}', first again in row {int(twice.index[0]) + 1}",
                remedy="Keep one row per image, or name the column of readers as columns.reader where each reader has a row",
            )
        return paths

    def _samples(self, frame: pd.DataFrame, paths: pd.Series) -> tuple[pd.DataFrame, list[str]]:
        rows = pd.DataFrame({"path": paths, "country": self.country, "modality": self.modality, "site": self.site})
        if "reader" in self.columns:
            rows["reader"] = frame[self.columns["reader"]]
        notes: list[str] = []
        for fact, column in self.columns.items():
            if fact in FACT_READERS:
                target, reader = FACT_READERS[fact]
                rows[target] = [reader(self.name, cell) for cell in frame[column]]
                unread = rows[target].isin([""]) | rows[target].isna()
                notes += self._unread(fact, column, count=int((unread & ~frame[column].str.lower().isin(BLANK)).sum()))
        policy = {"blank": "unknown", "uncertain": "unknown", **self.label_policy}
        for finding, rule in self._rules().items():
            rows[finding] = self._labels(frame, paths, rule=rule, policy=policy)
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
        cells = frame[rule["column"]].map(str.lower if rule["separator"] else word_of)  # a list is no number: 1,2 are two codes
        values = {cell: label_of(cell, rule=rule, policy=policy) for cell in cells.unique()}
        strange = cells.map(lambda cell: values[cell] is None).astype(bool)
        if strange.any():
            raise DataError(
                what=f"{int(strange.sum())} values of column '{rule['column']}' are neither positive nor negative nor unknown",
                where=f"Release '{self.name}', first: {self.name}/{paths[strange].iloc[0]}",
                remedy="List the values under positive, negative or unknown in finding_columns; '*' stands for any other value",
            )
        labels: pd.Series = cells.map(values).astype("float64")
        return labels


def _parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise DataError(
            what=f"The label table cannot be read ({type(error).__name__})", where=str(path), remedy="Save it again, or as CSV"
        ) from error
    frame.columns = frame.columns.map(lambda column: str(column).strip())
    return frame


def _not_there(column: str, header: Sequence[str], path: Path) -> ConfigError:
    if not header:
        return ConfigError(
            what=f"Column '{column}' is not in the label table, and no row of it looks like names of columns",
            where=str(path),
            remedy="Write the names of the columns above the rows",
        )
    return ConfigError(what=f"Column '{column}' is not in the label table", where=str(path), value=column, allowed=list(header))
