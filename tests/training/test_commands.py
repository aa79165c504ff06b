"""What all training commands share."""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash import errors
from unsquash.cli import exits
from unsquash.training.commands import (
    CODES,
    Interruption,
    device,
    positive_float,
    positive_int,
    run,
    write_file,
    write_json,
)


def code_of(command: Callable[[], None]) -> int:
    before = signal.getsignal(signal.SIGTERM)
    try:
        run(command)
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def test_errors_are_messages_with_hints_and_the_codes_of_the_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exits.CODES == CODES

    def failing() -> None:
        raise errors.AudioReadError("no audio", hint="Look elsewhere.")

    assert code_of(failing) == exits.UNREADABLE
    assert capsys.readouterr().err == "unsquash: no audio\nhint: Look elsewhere.\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), exits.INTERRUPTED),
        (OSError("no room"), exits.FAILED),
        (soundfile.LibsndfileError(3, "Error writing file: "), exits.FAILED),
        (MemoryError(), exits.FAILED),
        (errors.WeightsCorruptError("damaged"), exits.MODEL),
    ],
)
def test_nothing_that_can_be_expected_leaves_a_trace(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> None:
        raise error

    assert code_of(failing) == code
    message = capsys.readouterr().err
    assert message.startswith("unsquash: ")
    assert "Traceback" not in message


def test_being_terminated_is_an_interrupt() -> None:
    assert code_of(lambda: os.kill(os.getpid(), signal.SIGTERM)) == exits.INTERRUPTED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.asked
        signal.raise_signal(number)
        assert interruption.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
            assert not interruption.asked
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_results_are_json_whatever_they_are(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": np.float64(2)}})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": None, "b": [1.5, None], "c": {"d": 2.0}}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(errors.OutputError, match="does not exist"):
        write_json(tmp_path / "nowhere" / "a.json", {})


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x"])
def test_numbers_that_make_no_sense_are_refused(text: str) -> None:
    for kind in (positive_float, positive_int):
        with pytest.raises((argparse.ArgumentTypeError, ValueError)):
            kind(text)
    assert positive_float("0.5") == 0.5
    assert positive_int("2") == 2


def test_a_device_that_is_not_there_is_refused() -> None:
    assert device("cpu") == "cpu"
    with pytest.raises(argparse.ArgumentTypeError, match="no device"):
        device("abacus")


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_a_disk_that_is_full_is_named_and_nothing_half_is_left(tmp_path: Path) -> None:
    import resource

    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(errors.OutputError, match=r"a\.bin") as refusal:
            write_file(tmp_path / "a.bin", bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert refusal.value.hint
    assert list(tmp_path.iterdir()) == []
