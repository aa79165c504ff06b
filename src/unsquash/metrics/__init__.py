"""How far two recordings are apart: one reference (the original) and one estimate of it.

They have the same rate, channels and length, and are aligned: a delay of one sample is an error.
All figures but `sdr_db` and the levels are blind to a constant gain.
"""

from unsquash.metrics.comparison import Comparison, compare_sources
from unsquash.metrics.distances import gain_error_db, log_mel_distance, mse, sdr_db, si_sdr_db

__all__ = [
    "Comparison",
    "compare_sources",
    "gain_error_db",
    "log_mel_distance",
    "mse",
    "sdr_db",
    "si_sdr_db",
]
