"""Write docs/cli.md from the command line itself: `make docs`. A test checks that it is current."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from unsquash.cli import app

HEADER = """# The command line

Generated from the program by `make docs`; do not edit.

Exit codes: 0 done (skipped and unchanged files included) · 1 failed, of several files all · 2 usage error,
unknown option, missing device · 3 some files failed · 4 no readable input · 5 model missing or damaged ·
6 output exists, would collide, or is the input · 10 only with `analyze --check`: a file is squashed ·
130 interrupted · 141 the reader of a pipe went away.

Data goes to stdout (audio when OUTPUT is `-`, tables, JSON); everything else to stderr.

Left out on purpose, though other tools have it: `--in-place` (inputs are never touched), `--duration` (give
`--end`), `--report` (there are `--json` and `--csv`), `--preset` and a configuration file (an alias of the
shell does that), `--chunk`, `--context`, `--overlap`, `--batch-size` and `--max-memory` (memory is constant,
and no result may depend on such figures), `--precision` and `--no-deterministic` (there is one precision, and
the same input gives the same output on the same device), `--revision` and `--trust-model` (fetched
models are known by their SHA-256, and no model file can run code).
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    group: Any = typer.main.get_command(app)
    return HEADER + "".join(_section(group.commands[name], f"unsquash {name}") for name in group.commands)


def _section(command: Any, name: str) -> str:
    if hasattr(command, "commands"):
        return "".join(_section(sub, f"{name} {key}") for key, sub in command.commands.items())
    arguments = " ".join(_metavar(p) for p in command.params if p.param_type_name == "argument")
    text = f"\n## `{name} {arguments}".rstrip() + "`\n\n" + " ".join((command.help or "").split()) + "\n"
    rows = [_row(p) for p in command.params]
    if rows:
        text += "\n| | | default |\n|---|---|---|\n" + "".join(rows)
    return text


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"| `{_metavar(parameter)}` | {parameter.help or ''} | |\n".replace("|max", "\\|max")
    flag = parameter.is_flag or parameter.count
    names = ", ".join(parameter.opts) + ("" if flag else f" {parameter.metavar}")
    default = "" if flag or parameter.default in (None, []) else f"`{parameter.default}`"
    return f"| `{names.replace('|', chr(92) + '|')}` | {parameter.help or ''} | {default} |\n"


if __name__ == "__main__":
    (Path(__file__).parent / "cli.md").write_text(reference(), encoding="utf-8")
