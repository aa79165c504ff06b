"""Every error that unsquash raises on purpose.

```
UnsquashError
├── InputError          AudioReadError · UnsupportedAudioError · OptionError
├── ModelError          UnknownModelError · WeightsUnavailableError · WeightsCorruptError
├── InversionError
├── DeviceError         OutOfMemoryError
└── OutputError
```
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_MEMORY_RAN_OUT = ("out of memory", "can't allocate memory", "not enough memory", "_STATUS_ALLOC_FAILED")
"""What torch's errors say of it, which have no class in common."""


class UnsquashError(Exception):
    """An error with a message for the user and a hint on what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(UnsquashError):
    """What was given cannot be used."""


class AudioReadError(InputError):
    """A file is missing, damaged or not audio."""


class UnsupportedAudioError(InputError):
    """The audio is valid but of a kind that unsquash cannot process."""


class OptionError(InputError, ValueError):
    """An option or parameter is unknown, out of range or contradicts another."""


class ModelError(UnsquashError):
    """A network or its weights cannot be used."""


class UnknownModelError(ModelError):
    """No model of that name is known."""


class WeightsUnavailableError(ModelError):
    """The weights are not on this machine and could not be fetched."""


class WeightsCorruptError(ModelError):
    """The weights are not the bytes that the manifest promises."""


class InversionError(UnsquashError):
    """The compressor has no stable inverse here: its state is lost from `time_s` on."""

    def __init__(self, message: str, *, time_s: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.time_s = time_s


class DeviceError(UnsquashError):
    """A device was asked for and is absent."""


class OutOfMemoryError(DeviceError):
    """A graphics card, or this machine, ran out of memory."""


class OutputError(UnsquashError):
    """An output cannot be written."""


class OutputExistsError(OutputError):
    """An output exists, or would collide with an input or another output."""


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn Python's and torch's errors that mean it into `OutOfMemoryError`."""
    try:
        yield
    except MemoryError as error:
        raise _out_of_memory() from error
    except RuntimeError as error:
        if not any(words in str(error) for words in _MEMORY_RAN_OUT):
            raise
        if "CPUAllocator" in str(error):
            raise _out_of_memory() from error
        raise OutOfMemoryError(
            "out of memory on the graphics card", hint="use --device cpu, or fewer --jobs"
        ) from error


def _out_of_memory() -> OutOfMemoryError:
    return OutOfMemoryError(
        "out of memory", hint="close other programs, or work on fewer files at once with --jobs"
    )
