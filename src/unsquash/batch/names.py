"""Names of files: how they are ordered, how outputs are made from them, which of them mean the same."""

from __future__ import annotations

import os
import re
import string
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from unsquash.errors import OptionError

DEFAULT_TEMPLATE = "{dir}/{stem}{suffix}.{ext}"
_FIELDS = ("dir", "stem", "suffix", "ext")
_NATIVE_PATH = type(PurePath())  # on Windows drives and backslashes count, too
_EXTENSION_OF_FORMAT = {"opus": "opus", "rf64": "wav"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How an output is called.

    Attributes:
        template: with `{dir}`, `{stem}`, `{suffix}` and `{ext}` of the input; `/` between folders.
        suffix: what `{suffix}` stands for.
        container: the format that was asked for, which decides `{ext}`; None keeps the input's extension.
    """

    template: str = DEFAULT_TEMPLATE
    suffix: str = ""
    container: str | None = None

    def __post_init__(self) -> None:
        try:
            parts = [part[1:] for part in string.Formatter().parse(self.template) if part[1] is not None]
        except ValueError as error:
            raise OptionError(
                f"the template '{self.template}' is malformed: {error}", hint=f"such as {DEFAULT_TEMPLATE}"
            ) from error
        for field, spec, conversion in parts:
            written = f"{field}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}"
            if written not in _FIELDS:
                known = ", ".join(f"{{{name}}}" for name in _FIELDS)
                raise OptionError(f"templates know no '{{{written}}}'", hint=f"use {known}")
        if "/" in self.suffix:
            raise OptionError(f"the suffix '{self.suffix}' has a slash", hint="use --template for folders")

    @property
    def is_special(self) -> bool:
        """Whether outputs are to be called otherwise than their inputs."""
        return (self.template, self.suffix) != (DEFAULT_TEMPLATE, "")

    def beside(self, path: Path) -> Path:
        """Return the output's path for an input's, in the same folder.

        Raises:
            OptionError: the template leads out of that folder.
        """
        return path.parent / self.name(PurePosixPath(path.name))

    def name(self, relative: PurePath) -> PurePosixPath:
        """Return the output's name below the output folder, for an input's name below its own.

        Raises:
            OptionError: it would not lie below the output folder, or would be a stream of another file.

        Example:
            >>> Naming(suffix="_r", container="flac").name(PurePosixPath("a/01.WAV"))
            PurePosixPath('a/01_r.flac')
        """
        ext = relative.suffix[1:]
        if self.container is not None:
            ext = _EXTENSION_OF_FORMAT.get(self.container.lower(), self.container.lower())
        fields = {"dir": relative.parent.as_posix(), "stem": relative.stem, "suffix": self.suffix, "ext": ext}
        text = self.template.format_map(fields)
        name = _NATIVE_PATH(text if ext else text.removesuffix("."))
        if name.anchor or ".." in name.parts or name.name == "":
            raise OptionError(
                f"the template makes '{name}', which is not within the output folder",
                hint=f"such as {DEFAULT_TEMPLATE}",
            )
        if _NATIVE_PATH is PureWindowsPath and ":" in str(name):
            raise OptionError(f"'{name}' has a colon", hint="names of files on Windows have none")
        return PurePosixPath(name.as_posix())


def exists(name: str | Path) -> bool:
    """Return whether there is something of that name; not so if it is too long, or out of reach."""
    return os.path.exists(name)  # noqa: PTH110 (Path.exists raises an error there)


def is_folder(name: str | Path) -> bool:
    """Return whether there is a folder of that name; not so if it is too long, or out of reach."""
    return os.path.isdir(name)  # noqa: PTH112 (Path.is_dir raises an error there)


def collision_key(path: PurePath) -> str:
    """Return what two paths share if some file system takes them for the same.

    Example:
        >>> collision_key(PurePosixPath("A/Stra\u00dfe.WAV")) == collision_key(PurePosixPath("a/STRASSE.wav"))
        True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path.as_posix()).casefold())


def natural_order(path: PurePath) -> list[list[tuple[int, int, str]]]:
    """Return a sort key by which track 2 comes before track 10.

    Example:
        >>> sorted([PurePosixPath("10 b"), PurePosixPath("2 a")], key=natural_order)[0].name
        '2 a'
    """
    return [
        [
            (0, int(part), part) if part.isdecimal() else (1, 0, part)
            for part in re.split(r"(\d+)", unicodedata.normalize("NFC", name).casefold())
            if part
        ]
        for name in path.parts
    ]


def shown(name: object) -> str:
    r"""Return a file's name fit for a terminal or a log: no control characters, no broken Unicode.

    Example:
        >>> print(shown("two\nlines"))
        two\nlines
    """
    text = str(name).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(
        char if char.isprintable() or char == "\u00a0" else char.encode("unicode_escape").decode()
        for char in text
    )
