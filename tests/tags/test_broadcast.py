"""Positions and loudness in chunks that no program should have written so."""

from __future__ import annotations

import struct

import pytest

from unsquash.tags.broadcast import Outcome, true_again
from unsquash.tags.chunks import Chunk


def outcome(start=1000, stop=2000, *, peak_dbtp=-1.0):
    return Outcome(
        sample_rate=44100,
        start=start,
        stop=stop,
        is_whole=False,
        changed=True,
        integrated_lufs=-20.0,
        true_peak_dbtp=peak_dbtp,
        loudness_range_lu=None,
        coding="A=PCM",
    )


def cue_chunk(*points):
    body = b"".join(struct.pack("<II4sIII", name, at, b"data", 0, 0, at) for name, at in points)
    return Chunk(b"cue ", struct.pack("<I", len(points)) + body)


def label(name):
    return Chunk(b"LIST", b"adtl" + struct.pack("<4sII4s", b"labl", 8, name, b"abc\0"))


@pytest.mark.parametrize("points", [[(1, 500), (1, 1500)], [(1, 1500), (1, 500)], [(1, 1500), (1, 2000)]])
def test_of_cue_points_with_one_name_those_inside_stay(points):
    kept, _ = true_again([cue_chunk(*points), label(1)], outcome())
    assert kept == [cue_chunk((1, 500)), label(1)]


@pytest.mark.parametrize("ends", [(1500, 200), (1500, 1499), (900, 1500), (1500, 2000)])
def test_loops_that_do_not_fit_are_dropped(ends):
    def sampler(*loops):
        body = struct.pack("<9I", *[0] * 7, len(loops), 0)
        return Chunk(b"smpl", body + b"".join(struct.pack("<6I", 0, 0, *loop, 0, 0) for loop in loops))

    kept, _ = true_again([sampler((1100, 1200), ends)], outcome())
    assert kept == [sampler((100, 200))]


@pytest.mark.parametrize(
    ("peak_dbtp", "hundredths"), [(-400.0, -0x8000), (600.0, 0x7FFE), (-1.0, -100), (None, 0x7FFF)]
)
def test_levels_that_bext_cannot_say_are_the_nearest_it_can(peak_dbtp, hundredths):
    body = bytearray(602)
    struct.pack_into("<H", body, 346, 2)
    kept, _ = true_again([Chunk(b"bext", bytes(body))], outcome(peak_dbtp=peak_dbtp))
    assert struct.unpack_from("<5h", kept[0].body, 412) == (-2000, 0x7FFF, hundredths, 0x7FFF, 0x7FFF)
