"""Heavy libraries stay where they belong; what needs no network never loads torch."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent.parent / "src" / "unsquash"
ALLOWED = {
    "torch": ("nets", "weights", "engines/neural", "engines/delimiter", "analysis/dynamics", "training"),
    "numba": ("dsp", "training"),
    "rich": ("console", "live", "cli"),
    "typer": ("cli",),
    "matplotlib": ("plotting",),
}


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("library", ALLOWED)
def test_libraries_are_imported_where_they_belong(library):
    users = [
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if library in imports_of(path)
    ]
    assert users
    assert [user for user in users if not user.startswith(ALLOWED[library])] == []


@pytest.mark.parametrize("library", ["pickle", "marshal", "shelve", "dill", "joblib"])
def test_nothing_can_run_code_from_a_file(library):
    """The one import function names pickle's error; a test of its own holds that it never unpickles."""
    users = [
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if library in imports_of(path)
    ]
    assert [user for user in users if user != "weights/importing.py"] == []
