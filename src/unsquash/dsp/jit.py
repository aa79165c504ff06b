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
    try:
        return cast(_Function, numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # numba's word for "no folder to cache in"
        return cast(_Function, numba.njit(error_model="numpy")(function))
