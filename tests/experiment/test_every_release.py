# SPDX-License-Identifier: Apache-2.0
"""`medsetu prepare` takes the fake of every release as its configuration names it, and shows a ledger."""

import importlib
import io
import itertools

import pytest
import yaml
from rich.console import Console

from fakes.dicom import SENTINEL
from fakes.table import COLUMNS, FINDING_COLUMNS
from medsetu.core.place import config_folder
from medsetu.experiment.prepare import prepare, summary
from medsetu.manifest.plan import SplitPlan

SETTINGS = {"table": {"labels": "labels.csv", "columns": COLUMNS, "finding_columns": FINDING_COLUMNS}}
PHANTOM = "phantom"  # writes itself, and has tests of its own
NAMES = sorted(path.stem for path in (config_folder() / "release").glob("*.yaml"))


def release_of(name, root):
    settings = yaml.safe_load((config_folder() / "release" / f"{name}.yaml").read_text())
    module, _, kind = settings.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), kind)(**settings | {"root": root} | SETTINGS.get(name, {}))


@pytest.mark.parametrize("name", [name for name in NAMES if name != PHANTOM])
def test_the_fake_of_each_release_is_prepared(tmp_path, name):
    release = release_of(name, importlib.import_module(f"fakes.{name}").write(tmp_path / "data"))
    plan = SplitPlan(max_quarantine=1.0)
    prepared = prepare({"external": [release]}, plan=plan, seed=0, folder=tmp_path / "out", workers=0)
    assert set(prepared.manifest["release"]) == {name}
    assert set(prepared.manifest.columns) >= set(release.findings)
    assert len(prepared.quarantine) < len(prepared.manifest)
    console = Console(file=io.StringIO(), width=120)
    console.print(summary(prepared))
    ledger = console.file.getvalue()
    assert f"external  {name}" in ledger
    tables = [prepared.manifest, prepared.quarantine, prepared.duplicates]  # what is left out is named by its file, whatever that is called
    written = itertools.chain([ledger], (table.to_csv() for table in tables))
    assert not any(SENTINEL in text for text in written)
