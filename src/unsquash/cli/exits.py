"""Errors to messages and exit codes, in one place."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType

import typer

from unsquash import errors
from unsquash.batch.names import shown

FAILED = 1
USAGE = 2
PARTLY = 3
UNREADABLE = 4
MODEL = 5
EXISTS = 6
SQUASHED = 10
INTERRUPTED = 130
PIPE_CLOSED = 141

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

CODES: tuple[tuple[type[errors.UnsquashError], int], ...] = (
    (errors.OptionError, USAGE),
    (errors.OutOfMemoryError, FAILED),
    (errors.DeviceError, USAGE),
    (errors.InputError, UNREADABLE),
    (errors.ModelError, MODEL),
    (errors.OutputExistsError, EXISTS),
    (errors.UnsquashError, FAILED),
)


def exit_code_of(error: errors.UnsquashError) -> int:
    """Return the documented exit code of an error."""
    return next(code for kind, code in CODES if isinstance(error, kind))


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn every error into a message on stderr and an exit code."""
    _escape_unknown_characters()
    signal.signal(signal.SIGTERM, _interrupt)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # no nohup
        signal.signal(signal.SIGHUP, partial(_hang_up, [fd for fd in (1, 2) if os.isatty(fd)]))
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the shell wants it ignored
        signal.signal(signal.SIGINT, _interrupt)
    try:
        with errors.memory_errors():
            yield
    except errors.UnsquashError as error:
        _say(f"unsquash: {error}", f"hint: {error.hint}" if error.hint else "")
        raise typer.Exit(exit_code_of(error)) from None
    except BrokenPipeError:
        _give_up_stdout()
        raise typer.Exit(PIPE_CLOSED) from None
    except KeyboardInterrupt:
        _say("unsquash: interrupted; nothing half-done was left")
        raise typer.Exit(INTERRUPTED) from None
    except OSError as error:
        if error.filename is None and error.errno in _FULL:  # a file's error would name it
            _give_up_stdout()
            _say(
                "unsquash: standard output cannot be written: no space left on device",
                "hint: free some space, or write to another disk",
            )
        else:
            _say(f"unsquash: {error}")
        raise typer.Exit(FAILED) from None


def _give_up_stdout() -> None:
    """Let go of what is still to be written to stdout: the interpreter must not flush it again."""
    sys.stdout = None
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _escape_unknown_characters() -> None:
    """Let a name that stdout's or stderr's encoding lacks be shown all the same."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Interrupted(KeyboardInterrupt):
    """No plain one: after such, if it passed through `exec` of a string, Python ends by killing itself."""


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise _Interrupted


def _hang_up(screens: Sequence[int], _signal: int, _frame: FrameType | None) -> None:
    for screen in screens:  # gone: clearing away bars must not fail, and a log is still to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), screen)
    raise _Interrupted


def _say(*lines: str) -> None:
    for line in lines:
        if line:
            typer.echo(shown(line), err=True)
