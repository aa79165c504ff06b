"""What libsndfile and python-soundfile leave to do, for reader and writer alike.

Source:
    Channel order of Vorbis and Opus: Vorbis I specification, section 4.3.9, and RFC 7845, section 5.1.1.2.
    Channel order of WAV and FLAC: Microsoft, WAVEFORMATEXTENSIBLE.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

# Where the channels of WAV (left, right, centre, LFE, back …) lie in Ogg (left, centre, right, …, LFE).
_OGG_CHANNELS = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 5, 3, 4],
    7: [0, 2, 1, 6, 5, 3, 4],
    8: [0, 2, 1, 7, 5, 6, 3, 4],
}


class StreamedSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # seen as Any
    """A sound file that python-soundfile does not seek in after every read and write.

    That seek disturbs the state of lossy decoders and fails where the length is unknown.
    """

    def seekable(self) -> bool:
        """Say no; `seek` works all the same."""
        return False


def from_file_order(interleaved: npt.NDArray[Any], container: str) -> npt.NDArray[Any]:
    """Return samples with the channels in the order of WAV, whatever the container's own is.

    Shape:
        interleaved: `(t, C)`; result likewise.
    """
    order = _OGG_CHANNELS.get(interleaved.shape[1]) if container == "OGG" else None
    return interleaved if order is None else interleaved[:, order]


def to_file_order(interleaved: npt.NDArray[Any], container: str) -> npt.NDArray[Any]:
    """Undo `from_file_order`: an encoder takes the last channel of 5.1 for the LFE, and filters it.

    Shape:
        interleaved: `(t, C)`; result likewise.
    """
    order = _OGG_CHANNELS.get(interleaved.shape[1]) if container == "OGG" else None
    return interleaved if order is None else interleaved[:, np.argsort(order)]
