"""`unsquash doctor`."""

from __future__ import annotations

from unsquash.cli import flags


def doctor(json: flags.Json = False) -> None:
    """Report versions, devices and the state of the models."""
    from unsquash import console
    from unsquash.health import examine

    report = examine()
    if json:
        console.print_json(report)
    else:
        console.print_health(report)
