"""The one adjustment to python-soundfile that reader and writer share."""

from __future__ import annotations

import soundfile


class StreamedSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # seen as Any
    """A sound file that python-soundfile does not seek in after every read and write.

    That seek disturbs the state of lossy decoders and fails where the length is unknown.
    """

    def seekable(self) -> bool:
        """Say no; `seek` works all the same."""
        return False
