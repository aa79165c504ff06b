from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import unsquash

CODE = """
import numpy as np
from unsquash.dsp.compressor import CompressorParams, compress
y = compress(np.ones((1, 9)), 8000, CompressorParams(threshold_db=-20, ratio=4)).samples
print(round(float(y[0, -1]), 6))
"""


@pytest.mark.slow
@pytest.mark.parametrize("user_folder_writable", [True, False])
def test_works_where_the_package_folder_is_not_writable(tmp_path: Path, user_folder_writable: bool) -> None:
    assert unsquash.__file__ is not None
    package = tmp_path / "site" / "unsquash"
    source = Path(unsquash.__file__).parent
    shutil.copytree(source / "dsp", package / "dsp", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "errors.py", "units.py"):
        shutil.copy(source / name, package)
    (package / "dsp" / "__pycache__").touch()  # a file there: not even root can write a cache into it
    user_cache = tmp_path / "user"
    if not user_folder_writable:
        user_cache.touch()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA")}
    environment |= {
        "PYTHONPATH": str(package.parent),
        "XDG_CACHE_HOME": str(user_cache),
        "HOME": str(user_cache),
    }
    done = subprocess.run(
        [sys.executable, "-B", "-c", CODE],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0.177828"
    assert bool(list(tmp_path.glob("user/**/*.nbi"))) == user_folder_writable
