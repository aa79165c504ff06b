"""Fresh ReplayGain 2.0 and R128 fields.

Source:
    https://wiki.hydrogenaud.io/index.php?title=ReplayGain_2.0_specification; RFC 7845, section 5.2.1 (Opus).
"""

from __future__ import annotations

from unsquash.tags.model import Pairs
from unsquash.units import db_to_linear

REFERENCE_LUFS = -18.0
OPUS_REFERENCE_LUFS = -23.0


def replaygain_fields(
    integrated_lufs: float | None, true_peak_dbtp: float | None, *, scope: str = "TRACK", is_opus: bool
) -> Pairs:
    """Return the fields that make a player play a track or album at the reference loudness; none for silence.

    Args:
        integrated_lufs: of the track or album.
        true_peak_dbtp: likewise.
        scope: `TRACK` or `ALBUM`.
        is_opus: Opus has fields of its own, and no peak.

    Example:
        >>> replaygain_fields(-12.5, 0.0, is_opus=False)[0]
        ('REPLAYGAIN_TRACK_GAIN', '-5.50 dB')
        >>> replaygain_fields(-12.5, 0.0, scope="ALBUM", is_opus=True)
        [('R128_ALBUM_GAIN', '-2688')]
    """
    if integrated_lufs is None or true_peak_dbtp is None:
        return []
    if is_opus:
        steps = round((OPUS_REFERENCE_LUFS - integrated_lufs) * 256)
        return [(f"R128_{scope}_GAIN", str(max(-32768, min(32767, steps))))]
    return [
        (f"REPLAYGAIN_{scope}_GAIN", f"{REFERENCE_LUFS - integrated_lufs:.2f} dB"),
        (f"REPLAYGAIN_{scope}_PEAK", f"{db_to_linear(true_peak_dbtp):.6f}"),
    ]
