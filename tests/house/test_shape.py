# SPDX-License-Identifier: Apache-2.0
"""The shape of the house: sizes, mirrors, the five files of a release, and what never stands in the code."""

import ast
import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "medsetu"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "scripts").rglob("*.py"))]
SPDX = "# SPDX-License-Identifier: Apache-2.0"
LONGEST_FILE = 350  # lines
LARGEST_FILE = 100_000  # bytes
ERROR = re.compile(r"[A-Z]\w*(Error|Exception)")
WITHOUT_TEST = {"__init__.py", "__main__.py"}
SHARED_PARTS = {"base", "drawing", "harmonised"}  # modules of release/ that are no release; those of the phantom begin with its name


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _releases() -> list[str]:
    stems = {path.stem for path in (PACKAGE / "release").glob("*.py")} - SHARED_PARTS - {"__init__"}
    return sorted(stem for stem in stems if not any(stem.startswith(f"{other}_") for other in stems))


def _tracked() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_module_is_longer_than_a_sitting():
    assert {_name(path): lines for path in MODULES if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE} == {}


def test_each_file_begins_with_its_licence():
    assert [_name(path) for path in SOURCES if path.read_text(encoding="utf-8").split("\n", 1)[0] != SPDX] == []


def test_each_module_says_what_it_is():
    assert [_name(path) for path in MODULES if not ast.get_docstring(_tree(path))] == []


def test_each_module_has_a_test_file():
    mirrors = {path: ROOT / "tests" / path.relative_to(PACKAGE).parent / f"test_{path.name}" for path in MODULES}
    wanted = {path: mirror for path, mirror in mirrors.items() if path.name not in WITHOUT_TEST}
    assert [_name(mirror) for mirror in wanted.values() if not mirror.is_file()] == []
    assert [_name(mirror) for mirror in wanted.values() if "def test_" not in mirror.read_text(encoding="utf-8")] == []


def test_the_releases_are_found():
    assert {"nih_chestxray14", "nitrd", "phantom", "table", "tb_chest_radiography_database"} <= set(_releases())


@pytest.mark.parametrize("name", _releases())
def test_a_release_has_its_five_files(name):
    five = [f"configs/catalog/{name}.yaml", f"configs/release/{name}.yaml", f"src/medsetu/release/{name}.py"]
    five += [f"tests/release/test_{name}.py", f"tests/fakes/{name}.py"]
    assert [path for path in five if not (ROOT / path).is_file()] == []


def test_each_release_config_belongs_to_a_release():
    assert sorted(path.stem for path in (ROOT / "configs/release").glob("*.yaml")) == _releases()


def _texts(tree: ast.Module) -> list[str]:
    """Every text of a module that is not a docstring."""
    nodes = list(ast.walk(tree))
    docs = {ast.get_docstring(node, clean=False) for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)}
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docs]


def test_no_module_prints_asks_or_computes_text():
    banned = {"print", "eval", "exec", "compile", "input", "breakpoint"}
    calls = [(path, node.func) for path in MODULES for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)]
    assert [f"{_name(path)}:{call.lineno}" for path, call in calls if isinstance(call, ast.Name) and call.id in banned] == []


def test_no_module_asserts():
    found = [(path, node) for path in MODULES for node in ast.walk(_tree(path)) if isinstance(node, ast.Assert)]
    assert [f"{_name(path)}:{node.lineno}" for path, node in found] == []


def test_no_module_holds_a_network_address():
    """The one exception is no address to go to: the first line of a Git LFS pointer, which the reader knows by sight."""
    addresses = [(path, text) for path in MODULES for text in _texts(_tree(path)) if re.search(r"\w+://\w+[.:]\w", text)]
    assert [(_name(path), text) for path, text in addresses if path.stem != "image"] == []


def _faults(tree: ast.Module) -> list[int]:
    """Lines that return an error class instead of raising it, or leave work to a subclass by naming NotImplementedError."""
    nodes = list(ast.walk(tree))
    returned = [node for node in nodes if isinstance(node, ast.Return) and isinstance(node.value, ast.Name)]
    raised = [node for node in nodes if isinstance(node, ast.Raise) and node.exc]
    lines = {node.lineno for node in returned if ERROR.fullmatch(node.value.id)}
    return sorted(lines | {node.lineno for node in raised if ast.unparse(node.exc).startswith("NotImplemented")})


def test_abstract_cannot_be_made():
    """T41: an error is raised, never returned as a class; nothing is left to be implemented; a protocol is no object."""
    assert {_name(path): lines for path in MODULES if (lines := _faults(_tree(path)))} == {}
    abstract = [(path, node) for path in MODULES for node in _tree(path).body if isinstance(node, ast.ClassDef)]
    abstract = [(path, node.name) for path, node in abstract if _bases(node) & {"Protocol", "ABC"}]
    assert abstract
    for path, name in abstract:
        module = importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
        with pytest.raises(TypeError, match=r"abstract|Protocols cannot be instantiated"):
            getattr(module, name)()


@pytest.mark.parametrize(
    "body", ["return NotImplementedError", "raise NotImplementedError", "raise NotImplementedError('x')", "return DataError"]
)
def test_a_returned_error_would_be_found(body):
    assert _faults(ast.parse(f"def f():\n    {body}\n")) == [2]


def _bases(node: ast.ClassDef) -> set[str]:
    return {name.id for base in node.bases for name in ast.walk(base) if isinstance(name, ast.Name)}


def test_nothing_large_is_kept_in_git():
    large = {_name(path): path.stat().st_size for path in _tracked() if path.stat().st_size > LARGEST_FILE}
    assert set(large) <= {"requirements.lock"}


def test_no_picture_of_a_patient_is_kept_in_git():
    pictures = {
        ".png",
        ".jpg",
        ".jpeg",
        ".dcm",
        ".tif",
        ".tiff",
        ".pgm",
        ".npz",
        ".npy",
        ".pt",
        ".ckpt",
        ".pkl",
        ".safetensors",
        ".parquet",
    }
    assert [_name(path) for path in _tracked() if path.suffix.lower() in pictures] == []


def test_the_lock_pins_and_hashes_every_entry():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    logical = [line.strip() for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(logical) > 50
    entry = re.compile(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==[^\s;]+(\s*;[^-]+(-[^-][^-]*)*?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [line[:60] for line in logical if not entry.fullmatch(line)] == []


def test_the_lock_names_no_index_and_no_address():
    code = [line.split("#")[0] for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()]
    assert [line for line in code if "://" in line or "--index" in line or "--extra-index" in line or "--find-links" in line] == []
