"""Every error that unsquash raises on purpose.

```
UnsquashError
├── InputError          AudioReadError · UnsupportedAudioError · OptionError
├── ModelError          UnknownModelError · WeightsUnavailableError · WeightsCorruptError
├── InversionError
├── DeviceError
└── OutputError
```
"""

from __future__ import annotations


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
    """A device was asked for and is absent, or ran out of memory."""


class OutputError(UnsquashError):
    """An output cannot be written."""


class OutputExistsError(OutputError):
    """An output exists, or would collide with an input or another output."""
