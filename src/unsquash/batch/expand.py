"""From what the user named to the list of files that are meant."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from unsquash.audio import AUDIO_EXTENSIONS
from unsquash.batch.names import is_folder, natural_order
from unsquash.errors import AudioReadError

_OTHER_AUDIO = {
    ".m4a",
    ".mp4",
    ".aac",
    ".alac",
    ".wma",
    ".ape",
    ".wv",
    ".mpc",
    ".tta",
    ".dsf",
    ".dff",
    ".mka",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file to work on.

    Attributes:
        path: where it is.
        relative: its place below the folder that was named; outputs mirror it.
    """

    path: Path
    relative: PurePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which files of those that were named are wanted.

    Attributes:
        include: patterns of which a file must match one, instead of having an audio extension.
        exclude: patterns of which it may match none.
        recursive: look into the folders within folders.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    recursive: bool = True

    def wants(self, relative: PurePath, *, named: bool) -> bool:
        """Return whether a file is wanted; one that was named itself needs no audio extension."""
        if any(_matches(relative, pattern) for pattern in self.exclude):
            return False
        if self.include:
            return any(_matches(relative, pattern) for pattern in self.include)
        return named or relative.suffix.lower() in AUDIO_EXTENSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """The files to work on, in order, and what was passed over.

    Attributes:
        found: each file once.
        unsupported: extensions of audio that cannot be read, and how often each was seen.
    """

    found: tuple[Found, ...]
    unsupported: Counter[str]


def expand(
    inputs: Sequence[str],
    listed: Sequence[str] = (),
    selection: Selection | None = None,
    *,
    output_folder: Path | None = None,
    is_output: Callable[[Path], bool] = lambda _: False,
) -> Expansion:
    """Find the files that were named, in the folders that were named too.

    Hidden files and folders, and the `._*` files of macOS, are passed over; folders that are links are not
    entered. Names with wildcards that the shell did not expand are expanded here.

    Args:
        inputs: files, folders and wildcards. The content of a single folder keeps its place below it; of
            several, each is kept below its own name.
        listed: names from a list; each keeps its place as written.
        selection: which of them are wanted.
        output_folder: not looked into, where it lies within an input folder.
        is_output: tells files that an earlier run wrote.

    Raises:
        AudioReadError: a folder cannot be read, or nothing was found.
    """
    selection = selection or Selection()
    unsupported: Counter[str] = Counter()
    found: dict[Path, Found] = {}
    named = [Path(match) for text in inputs for match in _globbed(text)]
    barred = None if output_folder is None else output_folder.resolve()
    for candidate, was_named in _candidates(named, listed, selection, barred):
        if selection.wants(candidate.relative, named=was_named):
            if was_named or not is_output(candidate.path):
                found.setdefault(candidate.path.absolute(), candidate)
        elif candidate.path.suffix.lower() in _OTHER_AUDIO:
            unsupported[candidate.path.suffix.lower()] += 1
    if not found:
        where = ", ".join(f"'{name}'" for name in [*inputs, *listed][:3]) or "the list"
        hint = "known are " + " ".join(sorted(AUDIO_EXTENSIONS))
        if unsupported:
            hint = f"{unsupported.total()} files of kinds that cannot be read were seen; " + hint
        raise AudioReadError(f"no audio was found in {where}", hint=hint)
    return Expansion(found=tuple(found.values()), unsupported=unsupported)


def read_list(stream: BinaryIO, *, null: bool) -> list[str]:
    """Read names, one per line or, with `null`, separated by NUL bytes."""
    names = stream.read().split(b"\0" if null else b"\n")
    return [os.fsdecode(name if null else name.removesuffix(b"\r")) for name in names if name.strip(b"\r")]


def is_wildcard(text: str) -> bool:
    """Return whether a name is a pattern, as the Windows shell leaves them, and no existing file."""
    return glob.has_magic(text) and not os.path.lexists(text)


def _globbed(text: str) -> list[str]:
    if is_wildcard(text):
        matches = glob.glob(text, recursive=True)  # noqa: PTH207 (relative and absolute patterns alike)
        if matches:
            return sorted(matches, key=lambda match: natural_order(PurePath(match)))
    return [text]


def _candidates(
    named: Sequence[Path], listed: Sequence[str], selection: Selection, barred: Path | None
) -> Iterator[tuple[Found, bool]]:
    for path in named:
        if not is_folder(path):
            yield Found(path=path, relative=PurePath(path.name)), True
            continue
        top = PurePath() if len(named) == 1 else PurePath(path.resolve().name)
        for inner in _walk(path, selection, barred):
            yield Found(path=inner, relative=top / inner.relative_to(path)), False
    for text in listed:
        path = Path(text)
        parts = [part for part in path.parts if part not in ("..", path.anchor)]
        yield Found(path=path, relative=PurePath(*parts)), True


def _walk(folder: Path, selection: Selection, barred: Path | None) -> Iterator[Path]:
    """Yield the files in a folder that are not hidden, folder by folder, in natural order."""

    def refuse(error: OSError) -> None:
        raise AudioReadError(
            f"the folder '{error.filename}' cannot be read: {error.strerror}",
            hint="change its permissions, or leave it out with --exclude",
        ) from error

    for at, folders, files in os.walk(folder, onerror=refuse):
        inside = Path(at)
        folders[:] = [
            name for name in _visible(folders) if _may_enter(inside / name, folder, selection, barred)
        ]
        for name in _visible(files):
            yield inside / name
        if not selection.recursive:
            return


def _may_enter(path: Path, top: Path, selection: Selection, barred: Path | None) -> bool:
    relative = path.relative_to(top)
    if any(_matches(relative, pattern.removesuffix("/")) for pattern in selection.exclude):
        return False
    return barred is None or path.resolve() != barred


def _visible(names: Iterable[str]) -> list[str]:
    return sorted((n for n in names if not n.startswith(".")), key=lambda name: natural_order(PurePath(name)))


def _matches(relative: PurePath, pattern: str) -> bool:
    """Match the whole relative path or its last part, without regard to case."""
    wanted = pattern.casefold()
    return any(fnmatch.fnmatchcase(name.casefold(), wanted) for name in (relative.as_posix(), relative.name))
