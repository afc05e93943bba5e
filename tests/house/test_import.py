# SPDX-License-Identifier: Apache-2.0
"""T36, imports_are_innocent: importing medsetu changes no filter, no generator and no setting of the process."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "src" / "medsetu").rglob("*.py"))
NAMES = [".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__") for path in MODULES]
SNAPSHOT = """
import importlib, json, logging, os, random, signal, sys, warnings
others, own = json.loads(sys.stdin.read())
for name in others:
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # an extra that is not installed, or a name inside a module
import numpy, torch

def state():
    kind, keys, *rest = numpy.random.get_state()
    return {
        "filters": [repr(item) for item in warnings.filters],
        "python": repr(random.getstate()),
        "numpy": repr((kind, keys.tolist(), rest)),
        "torch": torch.get_rng_state().tolist(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
        "precision": torch.get_float32_matmul_precision(),
        "dtype": repr(torch.get_default_dtype()),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "excepthook": sys.excepthook is sys.__excepthook__,
        "signals": [repr(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)],
        "handlers": [repr(handler) for handler in logging.root.handlers],
        "level": logging.root.level,
    }

before = state()
changed = {}
for name in own:
    importlib.import_module(name)
    after = state()
    changed |= {f"{name}: {key}": True for key in after if after[key] != before[key]}
    before = after
sys.stdout.write("\\n" + json.dumps(sorted(changed)))
"""


def _others() -> list[str]:
    """Everything foreign that medsetu imports at the top of a module: what those do on import is theirs."""
    found = set()
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return sorted(name for name in found if not name.startswith("medsetu"))


@pytest.mark.slow
def test_imports_are_innocent(tmp_path):
    words = json.dumps([_others(), [name for name in NAMES if not name.endswith("__main__")]])
    done = subprocess.run([sys.executable, "-c", SNAPSHOT], input=words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert list(tmp_path.iterdir()) == []


def test_a_guilty_import_would_be_found(tmp_path):
    (tmp_path / "guilty.py").write_text("import random, warnings\nwarnings.simplefilter('ignore')\nrandom.seed(0)\n")
    words = json.dumps([[], ["guilty"]])
    done = subprocess.run([sys.executable, "-c", SNAPSHOT], input=words, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout.splitlines()[-1]) == ["guilty: filters", "guilty: python"]


def test_the_command_line_and_the_catalogue_import_no_torch():
    code = "import sys, medsetu.cli, medsetu.experiment.catalog, medsetu.catalog.card\nsys.stdout.write(' '.join(sys.modules))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert "medsetu.cli" in loaded
    assert not loaded & {"torch", "pandas", "numpy", "hydra", "omegaconf", "matplotlib"}


def test_the_recipe_imports_no_torch():
    """Composition, checks and prepare run on a hospital laptop."""
    code = "import sys, medsetu.recipe.app, medsetu.recipe.check, medsetu.recipe.recipe\nsys.stdout.write(' '.join(sys.modules))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"torch", "pytorch_lightning", "monai", "matplotlib", "wandb"}
