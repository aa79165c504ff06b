"""Compilation of the sample-by-sample recursions; nothing else imports numba.

Compiled code is kept on disk beside the source or, where that folder is read-only, in numba's cache of the
user. Numba notices a change of the file that holds a function, not of the files it calls into: kernels that
call each other must therefore live in one file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile on first call, cached on disk where any folder for that can be written."""
    return _jit(function, contract=False)


def contracted(function: _Function) -> _Function:
    """Compile likewise, and let `a·b + c` be one operation with one rounding where the processor has it."""
    return _jit(function, contract=True)


def _jit(function: _Function, *, contract: bool) -> _Function:
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
    options["fastmath"] = {"contract"} if contract else False
    try:
        return cast(_Function, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # numba's word for "no folder to cache in"
        return cast(_Function, numba.njit(**options)(function))
