"""The flags that commands share, each written once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from unsquash.options import check_seed


def _export(variable: str) -> Callable[[Any], Any]:
    """Make an option set an environment variable, so that worker processes see it too."""

    def callback(value: Any) -> Any:
        if value:
            os.environ[variable] = "1" if value is True else str(Path(value).absolute())
        return value

    return callback


Profile: TypeAlias = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Compressor profile; see 'unsquash presets list'."),
]
ProfileSet: TypeAlias = Annotated[
    str,
    typer.Option(
        "--profile-set",
        metavar="SET|FILE.csv",
        help="Known compressors to look for: published, five, thirty, your own CSV, or none.",
    ),
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Compressor setting, such as threshold=-20,ratio=4; repeatable."
    ),
]
Link: TypeAlias = Annotated[
    str | None, typer.Option("--link", metavar="max|mean|rms|off", help="How channels share one gain.")
]
Level: TypeAlias = Annotated[
    str,
    typer.Option(
        "--level",
        metavar="auto|peak-safe|keep|match|LUFS",
        help="One constant gain: down to -1 dBTP (peak-safe; auto for integer outputs), none (keep; auto "
        "for float), to the input's loudness (match), or to LUFS.",
    ),
]
BitDepth: TypeAlias = Annotated[
    str,
    typer.Option(
        "--bit-depth", metavar="same|16|24|32f", help="'same' is the input's depth, at least 24 bit."
    ),
]
Dither: TypeAlias = Annotated[
    str, typer.Option("--dither", metavar="auto|tpdf|none", help="TPDF dither when the depth is reduced.")
]
Seed: TypeAlias = Annotated[
    int, typer.Option("--seed", metavar="N", callback=check_seed, help="Seed of the dither.")
]
Overwrite: TypeAlias = Annotated[bool, typer.Option("-f", "--overwrite", help="Replace an existing output.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
Verbose: TypeAlias = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more.")]
Model: TypeAlias = Annotated[
    str, typer.Option("--model", metavar="NAME|PATH", help="Gain network; see 'unsquash models list'.")
]
Offline: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--offline", callback=_export("UNSQUASH_OFFLINE"), help="Open no connection, whatever is missing."
    ),
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option(
        "-n",
        "--dry-run",
        callback=_export("UNSQUASH_OFFLINE"),
        help="Examine and plan, write and fetch nothing.",
    ),
]
ModelDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--model-dir",
        metavar="DIR",
        callback=_export("UNSQUASH_MODEL_DIR"),
        help="Where fetched weights are kept; by default in the user's cache.",
    ),
]
Device: TypeAlias = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda[:N]|mps", help="Where the network runs.")
]
Suffix: TypeAlias = Annotated[
    str, typer.Option("--suffix", metavar="TEXT", help="Put this after the names of outputs.")
]
Template: TypeAlias = Annotated[
    str, typer.Option("--template", metavar="TEXT", help="Names of outputs below DIR.")
]
Include: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="GLOB", help="Only files that match, of any extension; repeatable."),
]
Exclude: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="No files and folders that match; repeatable."),
]
NoRecursive: TypeAlias = Annotated[
    bool, typer.Option("--no-recursive", help="Leave out the folders within folders.")
]
FilesFrom: TypeAlias = Annotated[
    str | None,
    typer.Option("--files-from", metavar="FILE", help="Take names from a list, one a line; - for stdin."),
]
Null: TypeAlias = Annotated[bool, typer.Option("-0", "--null", help="The names in the list end with NUL.")]
Jobs: TypeAlias = Annotated[
    str, typer.Option("-j", "--jobs", metavar="N|auto", help="Files at once; auto by cores and memory.")
]
LogFile: TypeAlias = Annotated[
    Path | None, typer.Option("--log-file", metavar="FILE", help="Add a line for every file to a log.")
]
NoProgress: TypeAlias = Annotated[bool, typer.Option("--no-progress", help="Draw no bars.")]
ProgressStyle: TypeAlias = Annotated[
    str, typer.Option("--progress", metavar="auto|json|none", help="How progress is shown on stderr.")
]
JsonLines: TypeAlias = Annotated[
    bool, typer.Option("--json-lines", help="Print one JSON object a line on stdout, file by file.")
]
InputFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--input-format", metavar="ENCODING:RATE:CHANNELS", help="Headerless input, such as s16le:44100:2."
    ),
]
Ab: TypeAlias = Annotated[
    Path | None,
    typer.Option("--ab", metavar="DIR", help="Write before and after there too, equally loud."),
]
Blind: TypeAlias = Annotated[bool, typer.Option("--blind", help="Call that pair X and Y, and seal the key.")]
