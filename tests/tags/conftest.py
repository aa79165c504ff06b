"""Restoring small tagged files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from unsquash import RestoreOptions, restore_file

SQUASHED = RestoreOptions(profile="five/C", level="keep")


@pytest.fixture
def restored():
    """Restore a file into another with the known compressor; return the report."""

    def call(source: Path, target: Path, **changes: object):
        return restore_file(source, target, dataclasses.replace(SQUASHED, **changes), overwrite=True)

    return call
