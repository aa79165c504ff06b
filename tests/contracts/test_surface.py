"""The public names: documented, importable, and nothing else."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import unsquash

REPOSITORY = Path(__file__).parent.parent.parent
MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(unsquash.__path__, "unsquash.")
    if name != "unsquash.__main__"
)


@pytest.mark.parametrize("name", unsquash.__all__)
def test_public_names_exist_and_are_documented(name):
    assert inspect.getdoc(getattr(unsquash, name))
    assert f"`{name}" in (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = unsquash.nonsense


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_some_docstrings_have_examples():
    found = [test for name in MODULES for test in doctest.DocTestFinder().find(importlib.import_module(name))]
    assert sum(bool(test.examples) for test in found) >= 8


@pytest.mark.parametrize("name", MODULES)
def test_modules_stay_small(name):
    source = inspect.getsourcefile(importlib.import_module(name))
    assert source is not None
    assert len(Path(source).read_text(encoding="utf-8").splitlines()) <= 300
