"""The command line must answer at once: nothing heavy may load before there is work."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "numpy",
    "scipy",
    "torch",
    "numba",
    "soundfile",
    "soxr",
    "huggingface_hub",
    "pyloudnorm",
    "matplotlib",
)


def loaded_by(code: str) -> set[str]:
    probe = f"import sys\n{code}\nprint(*sorted(name for name in {HEAVY!r} if name in sys.modules))"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(out.stdout.split("\n")[-2].split())


def test_importing_the_command_line_loads_nothing_heavy():
    assert loaded_by("import unsquash.cli") == set()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import unsquash") == set()


def test_help_loads_nothing_heavy():
    code = "import unsquash.cli\ntry:\n    unsquash.cli.app(['restore', '--help'])\nexcept SystemExit: pass"
    assert loaded_by(code) == set()


def test_the_probe_sees_what_is_heavy():
    assert loaded_by("import numpy") == {"numpy"}


def test_the_model_based_path_never_loads_torch():
    code = (
        "import numpy as np, unsquash\n"
        "o = unsquash.RestoreOptions(method='model', profile='five/C')\n"
        "unsquash.restore(np.ones((1, 4410)) * 0.1, 44100, o)"
    )
    assert "torch" not in loaded_by(code)
