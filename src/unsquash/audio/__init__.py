"""Streaming audio files: any rate, depth and channel count, in memory that does not depend on length.

Samples are float64 blocks `(C, t)`, ±1 = 0 dBFS. Outputs appear whole or not at all.
"""

from unsquash.audio.atomic import atomic_output, check_separate, check_target, copy_file
from unsquash.audio.choice import AUDIO_EXTENSIONS, TAG_BYTES, choose_format
from unsquash.audio.encoding import wants_dither
from unsquash.audio.formats import AudioInfo, OutputFormat
from unsquash.audio.iff import complete_sizes, walk_chunks
from unsquash.audio.pipes import open_pipe_writer, spooled
from unsquash.audio.raw import RawFormat, header_remarks, headerless, parse_raw_format
from unsquash.audio.reader import ArraySource, AudioFile, AudioSource, open_audio
from unsquash.audio.writer import Attachments, AudioWriter, open_writer

__all__ = [
    "AUDIO_EXTENSIONS",
    "TAG_BYTES",
    "ArraySource",
    "Attachments",
    "AudioFile",
    "AudioInfo",
    "AudioSource",
    "AudioWriter",
    "OutputFormat",
    "RawFormat",
    "atomic_output",
    "check_separate",
    "check_target",
    "choose_format",
    "complete_sizes",
    "copy_file",
    "header_remarks",
    "headerless",
    "open_audio",
    "open_pipe_writer",
    "open_writer",
    "parse_raw_format",
    "spooled",
    "walk_chunks",
    "wants_dither",
]
