"""Mutated audio files of every container through `analyze` and `restore`.

Each must be processed or refused in words: no traceback, no hang, no crash of a library, no partial output,
no more than 4 GiB of address space. `python benchmarks/fuzz.py 20000` prints the outcomes by container.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import numpy as np
import soundfile

SECONDS_PER_CASE = 20
ADDRESS_SPACE_BYTES = 4 * 2**30
LARGEST_OUTPUT_BYTES = 2**26
CASES_PER_WORKER = 500
HEADER_BYTES = 512
BASES = {
    "wav": ("WAV", "PCM_16"),
    "wavf": ("WAV", "FLOAT"),
    "adpcm": ("WAV", "MS_ADPCM"),
    "rf64": ("RF64", "PCM_24"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_24"),
    "caf": ("CAF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "opus": ("OGG", "OPUS"),
    "au": ("AU", "PCM_16"),
}
TARGETS = ("wav", "flac", "aiff", "caf", "mp3", "ogg")
NUMBERS = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80\0\0\0",
    b"\0\0\0\x80",
)


class TookTooLong(BaseException):
    """A case took too long; no handler of the program may swallow it."""


def make_bases() -> dict[str, bytes]:
    """Return a tiny file of each kind, with tags where mutagen can write some."""
    import mutagen
    from mutagen.flac import Picture
    from mutagen.id3 import APIC, COMM, TIT2, TXXX

    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal((1600, 2)).clip(-3, 3)
    bases = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, (container, subtype) in BASES.items():
            path = Path(folder) / f"{kind}.{container.lower()}"
            soundfile.write(path, samples, 16000, subtype, format=container)
            audio = mutagen.File(path) if kind not in ("rf64", "w64", "caf", "au", "wavf") else None
            if audio is not None and audio.tags is None:
                audio.add_tags()
            if kind in ("wav", "adpcm", "aiff", "mp3"):
                audio.tags.add(TIT2(encoding=3, text=["title"]))
                audio.tags.add(COMM(encoding=1, lang="eng", desc="d", text=["comment"]))
                audio.tags.add(TXXX(encoding=3, desc="replaygain_track_gain", text=["-3 dB"]))
                audio.tags.add(APIC(encoding=0, mime="image/png", type=3, desc="", data=b"\x89PNG" * 20))
            elif audio is not None:
                audio.tags["title"] = "title"
                audio.tags["replaygain_track_gain"] = "-3 dB"
            if kind == "flac":
                picture = Picture()
                picture.data = b"\x89PNG" * 20
                audio.add_picture(picture)
            if audio is not None:
                audio.save()
            bases[kind] = path.read_bytes()
    extra = b"bext" + (610).to_bytes(4, "little") + bytes(610) + b"cue " + (28).to_bytes(4, "little")
    extra += b"\1\0\0\0" + bytes(24) + b"LIST" + (16).to_bytes(4, "little") + b"INFOINAM\4\0\0\0name"
    bases["wavf"] = bases["wavf"][:12] + extra + bases["wavf"][12:]
    return bases


def mutated(data: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    """Return a damaged copy: the header suffers more often than the body."""
    new = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        if not new:
            break
        reach = min(HEADER_BYTES, len(new)) if rng.random() < 0.7 else len(new)
        at = int(rng.integers(reach))
        match int(rng.integers(9)):
            case 0:
                new[at] ^= 1 << int(rng.integers(8))
            case 1:
                new[at] = int(rng.integers(256))
            case 2:
                new[at : at + 4] = NUMBERS[int(rng.integers(len(NUMBERS)))]
            case 3:
                del new[at:]
            case 4:
                del new[at : at + int(rng.integers(1, 64))]
            case 5:
                new[at:at] = rng.bytes(int(rng.integers(1, 64)))
            case 6:
                size = int(rng.integers(1, 256))
                new[at:at] = new[at : at + size]
            case 7:
                size = int(rng.integers(1, 64))
                new[at : at + size] = rng.bytes(size)
            case _:
                start = int(rng.integers(len(other)))
                new[at:] = other[start:]
    return bytes(new)


def with_true_checksums(data: bytes) -> bytes:
    """Return an Ogg file whose page checksums hold again, so that the decoders behind see the damage."""
    new = bytearray(data)
    places = [match.start() for match in re.finditer(b"OggS", data)]
    for place, end in zip(places, [*places[1:], len(data)], strict=True):
        if end - place >= 27:
            new[place + 22 : place + 26] = bytes(4)
            crc = 0
            for byte in new[place:end]:
                crc = (crc << 8 & 0xFFFFFFFF) ^ OGG_CRC[(crc >> 24) ^ byte]
            new[place + 22 : place + 26] = crc.to_bytes(4, "little")
    return bytes(new)


def _ogg_crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x104C11DB7 if crc & 0x80000000 else 0)
        table.append(crc)
    return table


OGG_CRC = _ogg_crc_table()


def case(number: int, seed: int, bases: dict[str, bytes]) -> tuple[str, bytes, str]:
    """Return a case's kind, its bytes, and the extension of its output."""
    rng = np.random.default_rng((seed, number))
    kinds = list(bases)
    kind = kinds[number % len(kinds)]
    other = bases[kinds[int(rng.integers(len(kinds)))]]
    data = mutated(bases[kind], rng, other)
    if data[:4] == b"OggS" and rng.random() < 0.8:
        data = with_true_checksums(data)
    return kind, data, TARGETS[int(rng.integers(len(TARGETS)))]


def outcome(path: Path, target: Path) -> str:
    """Analyze and restore one file; return what came of it, in a word."""
    from unsquash import RestoreOptions, UnsquashError, analyze_file, restore_file

    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS_PER_CASE)
    try:
        analyze_file(path, RestoreOptions(method="none"))
        report = restore_file(path, target, RestoreOptions(profile="five/C", max_gain_db=30.0))
        info = soundfile.info(target)
        if report.source.frames != info.frames and target.suffix not in (".mp3",):
            return "FAULT wrong-length"
        return "restored"
    except UnsquashError as error:
        if not error.hint:
            return f"FAULT no-hint {error}"
        return f"refused {type(error).__name__}"
    except TookTooLong:
        return "FAULT hang"
    except BaseException as error:  # noqa: BLE001 (to find them is the purpose)
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"FAULT {type(error).__name__} {where.filename.rpartition('/')[2]}:{where.lineno} {error}"[
            :200
        ]
    finally:
        signal.alarm(0)


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TookTooLong


def work(start: int, stop: int, seed: int) -> None:
    """Run cases; print one line when each begins and one when it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_OUTPUT_BYTES, LARGEST_OUTPUT_BYTES))
    bases = make_bases()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(start, stop):
            kind, data, extension = case(number, seed, bases)
            print("begin", number, kind, flush=True)
            source, target = folder / f"in.{kind}", folder / "out" / f"out.{extension}"
            source.write_bytes(data)
            target.parent.mkdir()
            word = outcome(source, target)
            left = sorted(path.name for path in target.parent.iterdir())
            if left != ([target.name] if word == "restored" else []):
                word = f"FAULT left {left} after {word}"
            print("end", number, kind, word, flush=True)
            shutil.rmtree(target.parent)
            source.unlink()


def run_cases(start: int, stop: int, seed: int) -> list[tuple[int, str, str]]:
    """Run cases in processes of their own; one that dies is a fault of its case, and the next goes on."""
    results: list[tuple[int, str, str]] = []
    while start < stop:
        command = [sys.executable, __file__, "--worker", str(start), str(stop), "--seed", str(seed)]
        patience_s = 60 + SECONDS_PER_CASE * 2 + (stop - start)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=patience_s, check=False)
            output, death = done.stdout, f"FAULT died with {done.returncode} {done.stderr[-300:]}"
        except subprocess.TimeoutExpired as late:
            output, death = (late.stdout or b"").decode(), "FAULT hang in a library"
        begun = None
        for line in output.splitlines():
            what, number, kind, *word = line.split(maxsplit=3)
            if what == "begin":
                begun = (int(number), kind)
            else:
                results.append((int(number), kind, word[0]))
                begun = None
        if begun is None and (not results or results[-1][0] < stop - 1):
            raise RuntimeError(f"the worker did not start: {death}")
        if begun is not None:
            results.append((*begun, death))
        start = results[-1][0] + 1
    return results


def main() -> int:
    """Run the cases and print their outcomes; 1 if any is a fault."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", type=int, nargs="?", default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--worker", type=int, nargs=2)
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker, arguments.seed)
        return 0
    starts = range(0, arguments.cases, CASES_PER_WORKER)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        pieces = pool.map(
            lambda start: run_cases(start, min(start + CASES_PER_WORKER, arguments.cases), arguments.seed),
            starts,
        )
        results = [result for piece in pieces for result in piece]
    table = Counter((kind, "FAULT" if word.startswith("FAULT") else word) for _, kind, word in results)
    words = sorted({word for _, word in table})
    print("| container | cases | " + " | ".join(words) + " |")
    print("|---|---|" + "---|" * len(words))
    for kind in BASES:
        counts = [table[kind, word] for word in words]
        print(f"| {kind} | {sum(counts)} | " + " | ".join(map(str, counts)) + " |")
    faults = [result for result in results if result[2].startswith("FAULT")]
    for number, kind, word in faults[:50]:
        print(number, kind, word)
    print(f"{len(results)} cases, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
