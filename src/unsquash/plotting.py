"""A recording as a picture: level, gain and static curve. Needs matplotlib, which the extra `plot` brings."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unsquash.audio import atomic_output
from unsquash.audio.atomic import output_errors
from unsquash.batch.names import shown
from unsquash.errors import OptionError
from unsquash.pipeline import FileAnalysis
from unsquash.tracing import FLOOR_DB, STEP_DB, TOP_DB, Trace, median_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE_INCHES = (14.0, 7.0)
_DOTS_PER_INCH = 100
_LOWEST_DBFS = -60.0
_SMALLEST_GAIN_AXIS_DB = 6.0
_BEFORE, _AFTER, _PLAIN = "tab:orange", "tab:blue", "0.5"


def require_matplotlib() -> None:
    """Refuse, before any work, what could not be drawn in the end.

    Raises:
        OptionError: matplotlib is missing.
    """
    try:
        found = find_spec("matplotlib.figure") is not None
    except ImportError:
        found = False
    if not found:
        raise OptionError("a plot needs matplotlib", hint="pip install 'unsquash[plot]'")


def write_plot(path: Path, report: FileAnalysis, *, overwrite: bool) -> None:
    """Draw what was found in a file, as a PNG that appears whole or not at all; the same each time.

    Args:
        path: the picture.
        report: with its trace.
        overwrite: replace an existing file.

    Raises:
        OutputError: the picture exists, or cannot be written.
        ValueError: the report has no trace.
    """
    import matplotlib
    from matplotlib.figure import Figure

    if report.trace is None:
        raise ValueError("there is no trace to draw")
    with (
        matplotlib.rc_context(),
        warnings.catch_warnings(),
        atomic_output(path, overwrite=overwrite) as file,
    ):
        warnings.simplefilter("ignore")  # of letters that the font lacks
        matplotlib.rcdefaults()  # no settings of the user's, so that pictures can be compared
        figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
        axes: dict[str, Axes] = figure.subplot_mosaic("LLS;GGS", width_ratios=(1, 1, 1.3))
        axes["G"].sharex(axes["L"])
        _draw_level(axes["L"], report.trace, report.diagnosis.clipping.ceiling_dbfs)
        _draw_gain(axes["G"], report.trace)
        _draw_static_curve(axes["S"], report.trace)
        title = f"{shown(Path(report.input).name)}: {', '.join(report.verdict)}"
        figure.suptitle(title, parse_math=False)
        with output_errors(f"'{path}'"):
            figure.savefig(file, format="png", metadata={"Software": None})


def _draw_level(axes: Axes, trace: Trace, ceiling_dbfs: float | None) -> None:
    times_s = _times_s(trace)
    axes.fill_between(times_s, _LOWEST_DBFS, trace.peak_dbfs, color=_AFTER, alpha=0.25, linewidth=0)
    axes.plot(times_s, trace.peak_dbfs, color=_AFTER, linewidth=0.6, label="peak")
    axes.plot(times_s, trace.rms_dbfs, color="black", linewidth=0.8, label="RMS")
    if ceiling_dbfs is not None:
        axes.axhline(ceiling_dbfs, color="tab:red", linestyle=":", label="clipped here")
    top_dbfs = max(0.0, float(trace.peak_dbfs.max()))
    axes.set(ylim=(_LOWEST_DBFS, top_dbfs + 1.0), xlim=(0.0, trace.duration_s), ylabel="level, dBFS")
    axes.set_title(f"level (columns of {trace.column_s:.3g} s)")
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)


def _draw_gain(axes: Axes, trace: Trace) -> None:
    from matplotlib.ticker import FuncFormatter

    times_s = _times_s(trace)
    axes.fill_between(
        times_s, 0.0, trace.max_gain_db, color=_BEFORE, alpha=0.35, linewidth=0, label="maximum"
    )
    axes.plot(times_s, trace.mean_gain_db, color=_BEFORE, linewidth=0.8, label="mean")
    lowest, highest = min(0.0, float(trace.mean_gain_db.min())), float(trace.max_gain_db.max())
    axes.set(ylim=(lowest, max(_SMALLEST_GAIN_AXIS_DB, 1.05 * highest)), ylabel="gain, dB", xlabel="time")
    axes.set_title(_gain_title(trace))
    axes.xaxis.set_major_formatter(FuncFormatter(_clock))
    axes.legend(loc="upper right")
    axes.grid(alpha=0.3)


def _gain_title(trace: Trace) -> str:
    if trace.is_planned:
        return "estimated gain reduction, as restore would give it back"
    return "restore would do nothing; what --method neural would apply"


def _draw_static_curve(axes: Axes, trace: Trace) -> None:
    edges = np.arange(FLOOR_DB, TOP_DB + STEP_DB / 2, STEP_DB)
    counts = np.ma.masked_equal(trace.static_curve.T, 0.0)
    axes.pcolormesh(edges, edges, np.ma.log10(counts), cmap="Blues", vmin=-1.0, rasterized=True)
    axes.plot(edges, edges, color=_PLAIN, linestyle="--", linewidth=0.8, label="untouched")
    axes.plot(*median_curve(trace.static_curve), color=_BEFORE, linewidth=1.5, label="median")
    occupied = np.flatnonzero(trace.static_curve.sum(axis=1))
    top = max(0.0, FLOOR_DB + STEP_DB * (int(occupied[-1]) + 1)) if occupied.size else 0.0
    axes.set(xlim=(_LOWEST_DBFS, top), ylim=(_LOWEST_DBFS, top), aspect="equal")
    axes.set(xlabel="estimated level before the squash, dBFS", ylabel="level now, dBFS")
    axes.set_title("static curve (RMS of 10 ms)")
    axes.legend(loc="upper left")
    axes.grid(alpha=0.3)


def _times_s(trace: Trace) -> Any:
    return (np.arange(len(trace.peak_dbfs)) + 0.5) * trace.column_s


def _clock(seconds: float, _position: int) -> str:
    """Return a time as `m:ss`, or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds, 3), 60.0)
    hours, minutes = divmod(int(minutes), 60)
    second = f"{rest:02.0f}" if rest == int(rest) else f"{rest:06.3f}".rstrip("0")
    return f"{hours}:{minutes:02d}:{second}" if hours else f"{minutes}:{second}"
