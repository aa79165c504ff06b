"""Names of outputs, and what may not happen to them."""

from __future__ import annotations

from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from unsquash.batch.expand import Found
from unsquash.batch.jobs import albums, plan_jobs
from unsquash.batch.names import Naming, collision_key, shown
from unsquash.errors import OptionError, OutputExistsError


def found(*names, base="/in"):
    return [Found(path=Path(base, name), relative=PurePath(name)) for name in names]


def outputs(jobs):
    return [job.name for job in jobs]


def test_the_tree_is_mirrored():
    jobs = plan_jobs(found("a/1.flac", "2.WAV"), Path("/out"), Naming())
    assert outputs(jobs) == ["a/1.flac", "2.WAV"]
    assert jobs[0].target == Path("/out/a/1.flac")


@pytest.mark.parametrize(
    ("naming", "name"),
    [
        (Naming(suffix=" (restored)"), "a/1 (restored).wav"),
        (Naming(container="flac"), "a/1.flac"),
        (Naming(container="rf64"), "a/1.wav"),
        (Naming(template="{stem}/{dir}{suffix}.{ext}", suffix="-x"), "1/a-x.wav"),
    ],
)
def test_templates(naming, name):
    assert outputs(plan_jobs(found("a/1.wav"), Path("/out"), naming)) == [name]


@pytest.mark.parametrize(
    "template",
    ["{artist}.{ext}", "{stem", "{}", "{0}", "{stem:d}", "{stem!x}", "{stem!r}", "{stem:>{dir}}"],
)
def test_templates_that_mean_nothing(template):
    with pytest.raises(OptionError):
        Naming(template=template)


@pytest.mark.parametrize("template", ["/etc/{stem}.{ext}", "../{stem}.{ext}", "."])
def test_outputs_stay_in_their_folder(template):
    with pytest.raises(OptionError, match="output folder"):
        Naming(template=template).name(PurePosixPath("a.wav"))


@pytest.mark.parametrize("template", ["C:/x/{stem}", "C:{stem}", r"..\{stem}", r"\{stem}", r"\\x\y\{stem}"])
def test_outputs_stay_in_their_folder_on_windows(template, monkeypatch):
    monkeypatch.setattr("unsquash.batch.names._NATIVE_PATH", PureWindowsPath)
    with pytest.raises(OptionError, match="within the output folder"):
        Naming(template=template).name(PureWindowsPath("a.wav"))
    assert Naming(template=r"b\{stem}").name(PureWindowsPath("a.wav")) == PurePosixPath("b/a")


@pytest.mark.parametrize("naming", [Naming(template="{dir}/{stem}: x.{ext}"), Naming(suffix=":x")])
def test_no_output_becomes_a_stream_within_another_file_on_windows(naming, monkeypatch):
    assert naming.name(PurePosixPath("a.wav"))
    monkeypatch.setattr("unsquash.batch.names._NATIVE_PATH", PureWindowsPath)
    with pytest.raises(OptionError, match="colon"):
        naming.name(PureWindowsPath("a.wav"))


def test_braces_in_names_are_no_fields():
    assert Naming().name(PurePosixPath("{x}/{stem}.wav")) == PurePosixPath("{x}/{stem}.wav")


@pytest.mark.parametrize(
    "names",
    [
        ("a/1.wav", "b/1.wav"),
        ("A.wav", "a.wav"),
        ("caf\u00e9.wav", "cafe\u0301.wav"),
        ("stra\u00dfe.wav", "STRASSE.wav"),
    ],
)
def test_outputs_that_some_system_takes_for_the_same_collide(names):
    flat = Naming(template="{stem}.{ext}")
    with pytest.raises(OutputExistsError, match="both become"):
        plan_jobs(found(*names), Path("/out"), flat)


def test_a_file_and_a_folder_of_the_same_name_collide():
    with pytest.raises(OutputExistsError, match="a file and a folder"):
        plan_jobs(found("a.wav/b.wav", "A.wav"), Path("/out"), Naming())


def test_another_extension_makes_names_collide():
    plan_jobs(found("a.wav", "a.mp3"), Path("/out"), Naming())
    with pytest.raises(OutputExistsError):
        plan_jobs(found("a.wav", "a.mp3"), Path("/out"), Naming(container="flac"))


def test_outputs_may_not_replace_inputs(tmp_path):
    (tmp_path / "a.wav").touch()
    items = found("a.wav", base=tmp_path)
    with pytest.raises(OutputExistsError, match="replace the input"):
        plan_jobs(items, tmp_path, Naming())
    plan_jobs(items, tmp_path, Naming(suffix="_r"))


def test_outputs_may_not_replace_inputs_by_way_of_links(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.wav").write_bytes(b"x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.wav").hardlink_to(tmp_path / "in" / "a.wav")
    with pytest.raises(OutputExistsError, match="replace the input"):
        plan_jobs(found("a.wav", base=tmp_path / "in"), tmp_path / "out", Naming(template="b.{ext}"))


def test_many_collisions_are_told_in_short():
    names = [f"{folder}/{number}.wav" for folder in "ab" for number in range(20)]
    with pytest.raises(OutputExistsError, match="and 15 more"):
        plan_jobs(found(*names), Path("/out"), Naming(template="{stem}.{ext}"))


def test_albums_are_folders():
    jobs = plan_jobs(found("b/2.wav", "a/1.wav", "b/10.wav", "0.wav"), Path("/out"), Naming())
    assert [outputs(unit.jobs) for unit in albums(jobs)] == [["0.wav"], ["a/1.wav"], ["b/2.wav", "b/10.wav"]]


def test_names_are_shown_without_control_characters():
    assert shown("a\nb\x1b[31m.wav") == "a\\nb\\x1b[31m.wav"
    assert shown("na\u00efve \u97f3\u697d.wav") == "na\u00efve \u97f3\u697d.wav"
    assert shown("\udcff.wav").isascii()


def test_keys_of_different_names_differ():
    assert collision_key(PurePath("a/b.wav")) != collision_key(PurePath("a-b.wav"))
