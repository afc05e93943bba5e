# SPDX-License-Identifier: Apache-2.0
"""A wheel carries everything that a checkout runs with."""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("src", "configs", "pyproject.toml", "README.md", "LICENSE")
NO_NETWORK = ("dns", "resolve", "fetch", "network", "connect", "offline", "download")


def _builder(out: Path) -> list[str]:
    if importlib.util.find_spec("hatchling") is not None:
        return [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}") or shutil.which("uv")
    if uv is None:
        pytest.skip("neither hatchling nor uv is installed")
    return [uv, "build", "--wheel", "--quiet", "--python", sys.executable, "--out-dir", str(out)]


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """Names of the files in a wheel that is built from a copy of the sources."""
    top = tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, top / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, top)
    done = subprocess.run(_builder(top / "dist"), cwd=top, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode and any(word in done.stderr.lower() for word in NO_NETWORK):
        pytest.skip("hatchling is not installed and cannot be fetched here")
    assert done.returncode == 0, done.stderr
    (wheel,) = (top / "dist").glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_the_wheel_carries_every_config(names):
    wanted = {f"medsetu/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.yaml") if path.parent.name != "local"}
    assert wanted - names == set()


@pytest.mark.slow
def test_the_wheel_carries_every_module_and_the_report_template(names):
    wanted = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src/medsetu").rglob("*") if path.suffix in (".py", ".j2")}
    assert "medsetu/report/report.html.j2" in wanted
    assert wanted - names == set()


@pytest.mark.slow
def test_the_wheel_carries_nothing_else(names):
    assert [name for name in names if not name.startswith(("medsetu/", "medsetu-0"))] == []
    assert [name for name in names if "/configs/local/" in name and name.endswith(".yaml")] == []
