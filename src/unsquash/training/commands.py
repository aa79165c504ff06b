"""What the commands of this package share: their options, errors as messages, interrupts, results as JSON."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

import soundfile
import torch

from unsquash import errors
from unsquash.audio import atomic_output
from unsquash.audio.atomic import output_errors

Item = TypeVar("Item")

SAID_EVERY = 100
INTERRUPTED, PIPE_CLOSED = 130, 141
CODES: tuple[tuple[type[errors.UnsquashError], int], ...] = (
    (errors.OptionError, 2),
    (errors.OutOfMemoryError, 1),
    (errors.DeviceError, 2),
    (errors.InputError, 4),
    (errors.ModelError, 5),
    (errors.OutputExistsError, 6),
    (errors.UnsquashError, 1),
)
"""As those of `unsquash` itself."""


def run(command: Callable[[], None]) -> None:
    """Run a command; errors become messages and exit codes, and SIGTERM is an interrupt."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with errors.memory_errors():
            command()
            sys.stdout.flush()
    except errors.UnsquashError as error:
        _leave(
            next(code for kind, code in CODES if isinstance(error, kind)),
            f"unsquash: {error}" + (f"\nhint: {error.hint}" if error.hint else ""),
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes once more
        _leave(PIPE_CLOSED)
    except KeyboardInterrupt:
        _leave(INTERRUPTED, "unsquash: interrupted")
    except (OSError, soundfile.LibsndfileError) as error:
        _leave(1, f"unsquash: {error}")


def _leave(code: int, message: str = "") -> None:
    if message:
        print(message, file=sys.stderr)
    raise SystemExit(code)


class Interruption:
    """Within it, the first SIGINT or SIGTERM only asks to come to an end; the second one interrupts.

    One that is ignored, as shells want SIGINT to be in the background, stays so.

    Attributes:
        asked: whether there was one.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Listen."""
        heard = [number for number in self._SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._ask) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        for number, before in self._before.items():
            signal.signal(number, before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print("unsquash: ending; once more to stop at once", file=sys.stderr, flush=True)


def positive_float(text: str) -> float:
    """Read a positive number of the command line."""
    number = float(text)
    if not 0.0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def positive_int(text: str) -> int:
    """Read a positive whole number of the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def counted(name: str, items: Iterable[Item]) -> Iterator[Item]:
    """Pass things on, and say every now and then how many they were."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % SAID_EVERY == 0:
            print(f"{name}: {number}", file=sys.stderr, flush=True)


def device(text: str) -> str:
    """Read the name of a device of the command line, and try it."""
    try:
        torch.zeros(1, device=text)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise argparse.ArgumentTypeError(f"{text} is no device of this machine: {reason}") from error
    return text


def write_json(path: Path, results: Mapping[str, object], *, indent: int = 2) -> None:
    """Write results, whole or not at all; what is not finite is null.

    Raises:
        OutputError: They cannot be written.
    """
    text = json.dumps(_plain(results), indent=indent, allow_nan=False) + "\n"
    write_file(path, text.encode())


def write_file(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    with atomic_output(path, overwrite=True) as stream, output_errors(f"'{path}'"):
        stream.write(data)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
