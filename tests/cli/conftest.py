"""What tests of the command line share."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from unsquash.cli import app


@pytest.fixture
def cli(capfdbinary, monkeypatch):
    """Run the command line in this process."""

    def call(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as caught:
            app([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return SimpleNamespace(code=caught.value.code or 0, out=out.decode(), err=err.decode())

    return call
