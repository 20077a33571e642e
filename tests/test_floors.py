"""The shape of the repository: who may import whom, and what no committed file may hold."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lib" / "minima"
MOST_LINES = 400

# A package may import itself and those on lower floors, never a neighbour: each serves alone.
FLOORS = {"runtime": 0, "record": 1, "tasks": 2, "sweep": 3, "landscape": 4, "evaluation": 4}
FLOORS |= {"statistics": 0, "claims": 5, "launch": 6, "experiments": 6}
ENTRANCES = {"__init__.py", "__main__.py"}  # of the package itself: they may import anything

FOREIGN = {
    "absl.flags": "flags belong to experiments/; pass plain values down",
    "tensorflow": "the suite runs without it",
}
# Each has one that replaced it: see the design notes in WORKSPACE.md.
TRAPS = {"jax.pmap", "nnx.jit", "nnx.grad", "nnx.value_and_grad", "nnx.StateAxes"}
# In pieces, so that this file does not hold what it looks for.
SECRETS = {
    "a registry's address": r"https?://[^\s\"']*(?:py" + r"pi|python" + r"hosted|/simple\b)",
    "a choice of index": r"^\s*(?:--(?:extra-)?index" + r"-url|--find" + r"-links)\b",
    "a home directory": r"(?<![\w.])/(?:ro" + r"ot|home/\w+|Us" + r"ers/\w+)/",
}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def names(path: Path) -> Iterator[str]:
    """Every dotted name that a file imports or reads, relative imports made absolute."""
    package = path.relative_to(ROOT / "lib").parent.parts if PACKAGE in path.parents else ()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*outer, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def floor_faults(path: Path) -> list[str]:
    place = path.relative_to(PACKAGE).parts
    if len(place) == 1:
        return [] if place[0] in ENTRANCES else [f"{path.name} stands on no floor"]
    here = place[0]
    if here not in FLOORS:
        return [f"{here} is on no floor"]
    faults = []
    for name in names(path):
        parts = name.split(".")
        there = parts[1] if parts[0] == "minima" and len(parts) > 1 else parts[0]
        if there == here or there not in FLOORS or not is_ours(parts):
            continue
        if FLOORS[there] >= FLOORS[here]:
            faults.append(f"{here} may not import {name}")
    return faults


def is_ours(parts: list[str]) -> bool:
    return parts[0] in {"minima", "experiments", "launch"}


@pytest.mark.parametrize("path", python_files("lib"), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_goes_up(path):
    assert not floor_faults(path)


def test_the_library_imports_nothing_foreign():
    faults = [
        f"{path.relative_to(ROOT)} imports {name}: {why}"
        for path in python_files("lib")
        for name in set(names(path))
        for foreign, why in FOREIGN.items()
        if name == foreign or name.startswith(f"{foreign}.")
    ]
    assert not faults


def test_nothing_uses_what_was_replaced():
    faults = [
        f"{path.relative_to(ROOT)} uses {name}"
        for path in python_files("lib", "experiments")
        for name in set(names(path))
        if name.removeprefix("flax.") in TRAPS
    ]
    assert not faults


def test_files_are_short_and_named_for_what_they_hold():
    for path in python_files("lib", "experiments", "tests", "launch", "benchmarks"):
        assert path.name not in {"utils.py", "helpers.py", "misc.py"}, path
        lines = len(path.read_text().splitlines())
        assert lines <= MOST_LINES, f"{path.relative_to(ROOT)} has {lines} lines"


@pytest.mark.parametrize(
    ("place", "source", "faulty"),
    [
        ("tasks/a.py", "from minima.sweep import grid", True),
        ("tasks/a.py", "import minima.sweep.grid", True),
        ("tasks/a.py", "from minima import sweep", True),
        ("tasks/models/a.py", "from ...sweep import grid", True),
        ("tasks/models/a.py", "from ..datasets import load", False),
        ("tasks/a.py", "def f():\n    from minima.claims import ledger", True),
        ("sweep/a.py", "from minima.tasks import models", False),
        ("record/a.py", "from minima.runtime.errors import UserError", False),
        ("runtime/a.py", "from minima.record import files", True),
        ("landscape/a.py", "from minima.evaluation import checklist", True),
        ("claims/a.py", "import experiments.command_line", True),
        ("__main__.py", "import minima.claims", False),
        ("stray.py", "", True),
        ("attic/a.py", "", True),
    ],
)
def test_the_floors_catch_what_they_should(monkeypatch, tmp_path, place, source, faulty):
    package = tmp_path / "lib" / "minima"
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    monkeypatch.setitem(globals(), "PACKAGE", package)
    path = package / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert bool(floor_faults(path)) == faulty


def committed_texts() -> Iterator[tuple[str, str]]:
    command = ["git", "ls-files", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    for name in filter(None, listed.decode().split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in content[:8000]:
            yield name, content.decode(errors="replace")


def test_committed_files_name_no_registry_and_no_home():
    faults = [
        f"{name} holds {what}: {found[0].strip()}"
        for name, text in committed_texts()
        for what, pattern in SECRETS.items()
        if (found := re.search(pattern, text, re.MULTILINE))
    ]
    assert not faults


def test_the_lock_holds_names_and_hashes_only():
    text = (ROOT / "requirements.txt").read_text()
    assert "http" not in text
    pins = [line for line in text.splitlines() if re.match(r"[a-z]", line)]
    assert len(pins) > 40
    assert all("==" in pin and pin.endswith("\\") for pin in pins)
    # One file for both forks: jax needs Python 3.12 from 0.11 on.
    assert sum(pin.startswith("jax==") for pin in pins) == 2
