"""unsquash gives squashed recordings their dynamics back.

Example:
    >>> import unsquash
    >>> "restore_file" in unsquash.__all__
    True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unsquash.errors import UnsquashError
    from unsquash.forward import SquashOptions, squash, squash_file
    from unsquash.options import Position, RestoreOptions
    from unsquash.pipeline import analyze, analyze_file, restore, restore_file

__all__ = [
    "Position",
    "RestoreOptions",
    "SquashOptions",
    "UnsquashError",
    "analyze",
    "analyze_file",
    "restore",
    "restore_file",
    "squash",
    "squash_file",
]

_HOMES = {
    "Position": "options",
    "RestoreOptions": "options",
    "SquashOptions": "forward",
    "UnsquashError": "errors",
    "analyze": "pipeline",
    "analyze_file": "pipeline",
    "restore": "pipeline",
    "restore_file": "pipeline",
    "squash": "forward",
    "squash_file": "forward",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that importing the package stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'unsquash' has no attribute '{name}'")
    return getattr(import_module(f"unsquash.{_HOMES[name]}"), name)
