# SPDX-License-Identifier: Apache-2.0
"""T40, checks_run: what is configured is also selected, and a planted fault is found."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
HEAD = '# SPDX-License-Identifier: Apache-2.0\n"""A planted fault."""\n\n'
BRANCHES = "".join(f"    if number == {step}:\n        number += {step}\n" for step in range(9))
STATEMENTS = "".join(f"    number += {step}\n" for step in range(41))
NINE = ", ".join(f"{letter}: int" for letter in "abcdefghi")
FAULTS = {
    "C901": f'def f(number: int) -> int:\n    """Count."""\n{BRANCHES}    return number\n',
    "PLR0915": f'def f(number: int) -> int:\n    """Count."""\n{STATEMENTS}    return number\n',
    "PLR0913": f'def f({NINE}) -> int:\n    """Add."""\n    return a + b + c + d + e + f_ + g + h + i\n',
    "ANN001": 'def f(number) -> int:\n    """Count."""\n    return number\n',
    "B006": 'def f(numbers: list[int] = []) -> list[int]:\n    """Count."""\n    return numbers\n',
    "BLE001": "try:\n    import json\nexcept Exception:\n    json = None\n",
    "C408": "empty = dict()\n",
    "D103": "def f() -> int:\n    return 1\n",
    "DTZ005": "import datetime\n\nnow = datetime.datetime.now()\n",
    "E722": "try:\n    import json\nexcept:\n    json = None\n",
    "EM101": 'raise ValueError("text")\n',
    "ERA001": "# number = 1\n",
    "F401": "import json\n",
    "FBT001": 'def f(flag: bool) -> bool:\n    """Say."""\n    return flag\n',
    "I001": "import sys\nimport json\n\nprinted = (sys, json)\n",
    "N801": 'class small:\n    """A class."""\n',
    "NPY002": "import numpy as np\n\nx = np.random.rand(3)\n",
    "PT011": "import pytest\n\nwith pytest.raises(ValueError):\n    int('a')\n",
    "PTH118": "import os\n\nx = os.path.join('a', 'b')\n",
    "RET505": 'def f(a: int) -> int:\n    """Say."""\n    if a:\n        return 1\n    else:\n        return 2\n',
    "RUF005": "one = [1]\ntwo = [2] + one\n",
    "S301": "import pickle\n\nx = pickle.loads(b'')\n",
    "SIM105": "try:\n    import json\nexcept ImportError:\n    pass\n",
    "T201": "print(1)\n",
    "TID252": "from .. import core\n",
    "UP006": "import typing\n\nx: typing.List[int] = []\n",
    "W291": "number = 1 \n",
}
LIMITS = {"mccabe": "C901", "pylint": "PLR0913", "pydocstyle": "D103", "flake8-tidy-imports": "TID252"}


def _ruff(code: str) -> str:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--output-format=concise",
        "--stdin-filename=src/medsetu/core/planted.py",
        "-",
    ]
    return subprocess.run(command, cwd=ROOT, input=HEAD + code, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("rule", FAULTS)
def test_checks_run_and_find_the_planted_fault(rule):
    assert f" {rule} " in _ruff(FAULTS[rule])


def test_an_innocent_module_passes():
    assert "All checks passed" in _ruff('def f(number: int) -> int:\n    """Count."""\n    return number\n')


def test_every_selected_family_has_a_planted_fault():
    selected = SETTINGS["tool"]["ruff"]["lint"]["select"]
    assert [family for family in selected if not any(rule.startswith(family) for rule in FAULTS)] == []


def test_every_configured_limit_belongs_to_a_selected_rule():
    lint = SETTINGS["tool"]["ruff"]["lint"]
    sections = {name for name, value in lint.items() if isinstance(value, dict)} - {"per-file-ignores"}
    assert sections == set(LIMITS)
    assert all(rule.startswith(tuple(lint["select"])) for rule in LIMITS.values())


def test_types_are_strict_without_exempt_modules():
    mypy = SETTINGS["tool"]["mypy"]
    assert mypy["strict"] is True
    assert "exclude" not in mypy
    own = [name for override in mypy["overrides"] for name in override["module"] if name.startswith("medsetu")]
    assert own == []
    assert not any(override.get("ignore_errors") for override in mypy["overrides"])


def test_warnings_are_errors_and_doctests_run():
    options = SETTINGS["tool"]["pytest"]["ini_options"]
    assert options["filterwarnings"][0] == "error"
    assert options["xfail_strict"] is True
    assert {"--doctest-modules", "--strict-markers", "--strict-config"} <= set(options["addopts"])
    assert "src" in options["testpaths"]


def _skips(tree: ast.Module) -> list[ast.Call | ast.Attribute]:
    """Every place that skips: ``pytest.skip(...)``, ``mark.skip``, ``mark.skipif(...)``, ``importorskip(...)``, ``mark.xfail``."""
    names = ("skip", "skipif", "importorskip", "xfail")
    called = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in names]
    functions = {id(node.func) for node in called}
    bare = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in names and id(node) not in functions]
    return called + bare


def _gives_reason(node: ast.Call | ast.Attribute) -> bool:
    if isinstance(node, ast.Attribute):
        return False
    keywords = {keyword.arg for keyword in node.keywords}
    return "reason" in keywords or (node.func.attr == "skip" and bool(node.args))


def _unconditional(node: ast.Call | ast.Attribute) -> bool:
    function = node.func if isinstance(node, ast.Call) else node
    return function.attr == "skip" and getattr(function.value, "attr", "") == "mark"


def test_no_test_is_skipped_always_or_without_a_reason():
    skips = [(path, node) for path in TESTS for node in _skips(ast.parse(path.read_text(encoding="utf-8")))]
    assert [f"{path.name}:{node.lineno}" for path, node in skips if not _gives_reason(node) or _unconditional(node)] == []


@pytest.mark.parametrize(
    "code",
    [
        "@pytest.mark.skip\ndef test_a(): ...",
        "pytest.skip()",
        "x = pytest.mark.skipif(True)",
        "pytest.importorskip('a')",
        "pytest.mark.skip(reason='x')",
    ],
)
def test_a_skip_without_reason_would_be_found(code):
    skips = _skips(ast.parse(code))
    assert any(not _gives_reason(node) or _unconditional(node) for node in skips)
