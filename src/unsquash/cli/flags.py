"""The flags that commands share, each written once."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Profile: TypeAlias = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Compressor profile; see 'unsquash presets list'."),
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
        help="One constant gain: down to -1 dBTP (default for integer outputs), none (float), or to LUFS.",
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
Seed: TypeAlias = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the dither.")]
Overwrite: TypeAlias = Annotated[bool, typer.Option("-f", "--overwrite", help="Replace an existing output.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
Verbose: TypeAlias = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more.")]
Model: TypeAlias = Annotated[
    str, typer.Option("--model", metavar="NAME|PATH", help="Gain network; see 'unsquash models list'.")
]
Device: TypeAlias = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda[:N]|mps", help="Where the network runs.")
]
