"""What was done, one JSON line per event, in a file that survives whatever stops the program.

Lines are only ever appended, each in one write. A line that was torn by a crash is no JSON and is ignored;
the next line starts afresh. `started` is written before a file is worked on, so that after a crash an output
without a `finished` line is known to be ours and may be replaced.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unsquash.audio.atomic import output_errors
from unsquash.batch.identity import Identity, digest
from unsquash.errors import AudioReadError

LEDGER_NAME = ".unsquash.jsonl"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finished file.

    Attributes:
        output: its place below the output folder.
        input: where the input was.
        identity: what the input was.
        settings: hash of the options.
        model: SHA-256 of the networks' weights, joined by `+`; None where none was needed.
        output_sha256, output_size: of what was written.
        status: `restored` or `unchanged`.
        method, verdict: what was chosen, and what the analysis said.
        level_gain_db: the one constant gain.
        audio_s, work_s: length of the recording, and what it took.
        version: of unsquash.
    """

    output: str
    input: str
    identity: Identity
    settings: str
    model: str | None
    output_sha256: str
    output_size: int
    status: str
    method: str
    verdict: str | None
    level_gain_db: float
    audio_s: float
    work_s: float
    version: str


class Ledger:
    """The ledger of one output folder.

    Args:
        folder: the output folder; neither it nor the ledger need exist yet.

    Attributes:
        folder: the same.
        path: the file.
        entries: the finished files, by their names.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LEDGER_NAME
        self.entries: dict[str, Entry] = {}
        self._started: set[str] = set()
        self._torn = False
        if self.path.is_file():
            self._read()

    def wrote(self, name: str) -> bool:
        """Return whether an output of that name, if there is one, came from an earlier run."""
        return name in self.entries or name in self._started

    def wrote_file(self, path: Path) -> bool:
        """Return whether a file is an output of an earlier run."""
        try:
            return self.wrote(path.resolve().relative_to(self.folder.resolve()).as_posix())
        except ValueError:
            return False

    def start(self, name: str) -> None:
        """Note that an output is about to be made.

        Raises:
            OutputError: the ledger cannot be written.
        """
        self._append({"event": "started", "output": name})
        self._started.add(name)

    def finish(self, entry: Entry) -> None:
        """Note that an output is whole.

        Raises:
            OutputError: the ledger cannot be written.
        """
        self._append({"event": "finished", **asdict(entry)})
        self._started.discard(entry.output)
        self.entries[entry.output] = entry

    def fail(self, name: str, message: str) -> None:
        """Note that an output was not made.

        Raises:
            OutputError: the ledger cannot be written.
        """
        self._append({"event": "failed", "output": name, "message": message})
        self._started.discard(name)

    def _read(self) -> None:
        with output_errors(f"'{self.path}'"):
            data = self.path.read_bytes()
        self._torn = not data.endswith(b"\n") and bool(data)
        for line in data.split(b"\n"):
            try:
                self._take(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # torn by a crash, or of a later version

    def _take(self, line: Mapping[str, Any]) -> None:
        event, name = line["event"], line["output"]
        if event == "started":
            self._started.add(name)
        elif event == "failed":
            self._started.discard(name)
        elif event == "finished":
            values = {key: line[key] for key in Entry.__dataclass_fields__}
            values["identity"] = Identity(**line["identity"])
            self.entries[name] = Entry(**values)
            self._started.discard(name)

    def _append(self, line: Mapping[str, Any]) -> None:
        data = json.dumps({"schema": SCHEMA, **line}, allow_nan=False).encode() + b"\n"
        if self._torn:
            data = b"\n" + data
        with output_errors(f"'{self.path}'"):
            descriptor = os.open(
                self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666
            )
            try:
                self._torn = True  # until all of it is there
                while data:
                    data = data[os.write(descriptor, data) :]
                os.fsync(descriptor)
                self._torn = False
            finally:
                os.close(descriptor)


def output_is_intact(path: Path, entry: Entry) -> bool:
    """Return whether an output still holds, byte for byte, what was written."""
    try:
        return path.stat().st_size == entry.output_size and digest(path) == entry.output_sha256
    except (OSError, AudioReadError):
        return False
