"""The standard streams, also where the caller closed them, as daemons and cron do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from unsquash.errors import AudioReadError, OptionError, OutputError

_MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}  # in the order of their descriptors, 0 to 2
_closed: set[str] = set()


def replace_closed() -> None:
    """Put the null device in the place of closed streams.

    The next file that is opened would get their descriptor, and what libraries print would go into it.
    """
    for name, mode in _MODES.items():
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 (it stays open)
            os.set_inheritable(stream.fileno(), True)  # worker processes need it as well
            setattr(sys, name, stream)
            _closed.add(name)


def standard_input() -> BinaryIO:
    """Return standard input as bytes.

    Raises:
        AudioReadError: it is closed.
    """
    if "stdin" in _closed:
        raise AudioReadError("standard input is closed", hint="pipe a file into unsquash, or name one")
    return sys.stdin.buffer


def standard_output(*, dry_run: bool) -> BinaryIO:
    """Return standard output as bytes.

    Raises:
        OptionError: it is a terminal, and there is audio to come.
        OutputError: it is closed.
    """
    if "stdout" in _closed:
        raise OutputError("standard output is closed", hint="name an output file, or pipe stdout onwards")
    if sys.stdout.isatty() and not dry_run:
        raise OptionError(
            "audio does not belong on a terminal", hint="name an output file, or pipe stdout onwards"
        )
    return sys.stdout.buffer
