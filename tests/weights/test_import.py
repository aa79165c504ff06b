"""Local files brought in: authors' checkpoints of both generations, our own files, manifests."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
import torch
from tiny_model import COMMIT, entry_of

from unsquash.errors import InputError, ModelError, UnknownModelError, WeightsCorruptError
from unsquash.weights import HubSource, find_entry, import_file, list_entries, load_net, remove, status
from unsquash.weights.manifest import cached_path, manifest_text
from unsquash.weights.tensors import Stored, to_bytes

SETTINGS = {
    "conv_tasnet_params": {
        "n_filters": 12, "kernel_size": 16, "stride": 8, "n_blocks": 3, "n_repeats": 2, "bn_chan": 6,
        "hid_chan": 10, "skip_chan": 5, "encoder_activation": "relu", "mask_act": "relu",
        "decoder_activation": "sigmoid", "norm_type": {},
    },
    "data_params": {"sample_rate": 44100, "nb_channels": 2},
    "model_loss_params": {"architecture": "conv_tasnet_mask_on_output"},
}  # fmt: skip


class Bomb:
    """An object whose unpickling would run a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def authors(machine, checkpoint):
    """`all.pth` and `all.json` as the authors' repository has had them since 2024."""
    folder = machine / "authors"
    folder.mkdir()
    (folder / "all.pth").write_bytes(checkpoint)
    (folder / "all.json").write_text(json.dumps({"args": SETTINGS, "best_epoch": 196}))
    return folder


def test_the_newer_checkpoint_stays_and_runs(authors, tiny, socket_disabled):
    (entry,) = import_file(authors / "all.pth", "delimiter-2024")
    for path in authors.iterdir():
        path.unlink()
    assert status(entry).place == "cached"
    assert "delimiter-2024" in [known.name for known in list_entries()]
    net = load_net("delimiter-2024")
    assert all(torch.equal(tensor, tiny.tensors[name]) for name, tensor in net.state_dict().items())


def test_the_older_checkpoint_with_its_settings_beside(machine, checkpoint):
    (machine / "weights.pth").write_bytes(checkpoint)
    (machine / "args.json").write_text(json.dumps(SETTINGS))
    (entry,) = import_file(machine / "weights.pth")
    assert entry.name == "weights"
    assert entry.config["hidden_channels"] == 10


def test_a_network_of_another_kind_has_another_task(machine):
    shipped = Path(__file__).parents[2] / "models" / "profile-small" / "model.safetensors"
    (entry,) = import_file(shipped, "ours")
    assert (entry.network, entry.task) == ("profile", "compressor")
    assert find_entry("ours").task == find_entry("profile-small").task


def test_another_file_of_the_same_name_takes_the_place_of_the_first(machine, authors, tiny):
    (before,) = import_file(authors / "all.pth", "ours")
    louder = {name: 2.0 * tensor for name, tensor in tiny.tensors.items()}
    stored = Stored(network=tiny.network, config_json=tiny.config_json, tensors=louder)
    (machine / "a.safetensors").write_bytes(to_bytes(stored))
    (after,) = import_file(machine / "a.safetensors", "ours")
    assert find_entry("ours").sha256 == after.sha256 != before.sha256
    assert [path.name for path in cached_path(after).parent.glob("*.safetensors")] == [
        cached_path(after).name
    ]
    import_file(machine / "a.safetensors", "ours")
    assert cached_path(after).is_file()


def test_an_import_can_be_removed_altogether(authors):
    (entry,) = import_file(authors / "all.pth")
    assert len(remove(entry)) == 2
    with pytest.raises(UnknownModelError):
        find_entry("all")


def test_our_own_file(machine, tiny_bytes):
    path = machine / "My_Net" / "model.safetensors"
    path.parent.mkdir()
    path.write_bytes(tiny_bytes)
    (entry,) = import_file(path)
    assert entry.name == "my-net"
    path.write_bytes(tiny_bytes[:-4])
    with pytest.raises(WeightsCorruptError, match="seal"):
        import_file(path, "again")


def test_a_manifest_makes_a_name_known(machine, tiny_bytes):
    path = machine / "ours.toml"
    path.write_text(
        manifest_text([entry_of(tiny_bytes, HubSource(repo="owner/tiny", revision=COMMIT), "ours")])
    )
    (entry,) = import_file(path)
    assert find_entry("ours") == entry
    assert status(entry).place == "remote"


def test_settings_are_needed(authors):
    (authors / "all.json").unlink()
    with pytest.raises(WeightsCorruptError, match="settings") as caught:
        import_file(authors / "all.pth")
    assert "all.json" in caught.value.hint


@pytest.mark.parametrize("settings", ["{", "[]", "3", "{}", json.dumps({"args": {}})])
def test_bad_settings_are_refused(authors, settings):
    (authors / "all.json").write_text(settings)
    with pytest.raises(WeightsCorruptError):
        import_file(authors / "all.pth")


def test_settings_of_another_size_are_refused(authors):
    other = json.loads(json.dumps(SETTINGS))
    other["conv_tasnet_params"]["n_filters"] = 13
    (authors / "all.json").write_text(json.dumps(other))
    with pytest.raises(WeightsCorruptError, match="fit"):
        import_file(authors / "all.pth")


def test_code_in_a_checkpoint_is_never_run(authors, machine):
    victim = machine / "made-by-a-checkpoint"
    torch.save({"encoder.filterbank._filters": Bomb(victim)}, authors / "all.pth")
    with pytest.raises(WeightsCorruptError, match="not a checkpoint"):
        import_file(authors / "all.pth")
    assert not victim.exists()
    torch.load(authors / "all.pth", weights_only=False)
    assert victim.exists(), "the bomb was a dud, so this test showed nothing"


def not_tensors() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": 3}, buffer)
    return buffer.getvalue()


def empty_zip() -> bytes:
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    return buffer.getvalue()


@pytest.mark.parametrize("data", [b"", b"PK", b"\x80\x04.", b"x" * 5000, not_tensors(), empty_zip()])
def test_what_is_no_checkpoint_is_refused(authors, data):
    (authors / "all.pth").write_bytes(data)
    with pytest.raises(WeightsCorruptError):
        import_file(authors / "all.pth")


def test_a_torn_checkpoint_is_refused(authors, checkpoint):
    for length in range(0, len(checkpoint), len(checkpoint) // 12):
        (authors / "all.pth").write_bytes(checkpoint[:length])
        with pytest.raises(WeightsCorruptError):
            import_file(authors / "all.pth")


def test_names_are_guarded(authors):
    for name in ("delimiter-2023", "gain-small"):
        with pytest.raises(ModelError, match="shipped"):
            import_file(authors / "all.pth", name)
    for name in ("../up", "Ä", "", "a b", "-x"):
        with pytest.raises(ModelError):
            import_file(authors / "all.pth", name or " ")


def test_other_files(machine):
    with pytest.raises(InputError):
        import_file(machine / "absent.pth")
    (machine / "net.onnx").write_bytes(b"x")
    with pytest.raises(WeightsCorruptError, match="kind"):
        import_file(machine / "net.onnx")
    for name in ("net.pth", "net.ckpt", "net.bin", "net.pt"):
        with pytest.raises(WeightsCorruptError, match="safetensors") as caught:
            load_net(str(machine / name))
        assert "unsquash models import" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "a = 3",
        "[a]\ntask = 'gain'",
        "[a]\ncolour = 1",
        "[a]\nsources = [{ kind = 'smoke' }]",
        "[a]\nsources = [{ kind = 'hub', repo = 'x', revision = 'main' }]",
        "[a]\nsources = 3",
    ],
)
def test_manifests_that_make_no_sense(machine, text):
    path = machine / "bad.toml"
    path.write_text(text)
    with pytest.raises(WeightsCorruptError, match="manifest"):
        import_file(path)


ENTRY = {
    "task": "gain", "network": "gain", "sha256": 64 * "0", "bytes": 1, "sample_rate": 44100, "licence": "MIT",
    "attribution": "us", "sources": [{"kind": "file", "path": "/share/a.safetensors"}],
}  # fmt: skip


def manifest_of(values) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if key != "sources"]
    sources = ", ".join(
        "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in source.items()) + " }"
        for source in values["sources"]
    )
    return "\n".join(["[ours]", *lines, f"sources = [{sources}]"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"licence": 3},
        {"attribution": []},
        {"task": True},
        {"sample_rate": 44100.5},
        {"bytes": True},
        {"config": 3},
        {"sources": [{"kind": "file", "path": 3}]},
        {"sources": [{"kind": "hub", "repo": "a/b", "revision": 40 * "0", "file": 3}]},
        {
            "sources": [
                {
                    "kind": "wheel",
                    "package": "-r",
                    "version": "1",
                    "member": "a",
                    "sha256": 64 * "0",
                    "bytes": 1,
                }
            ]
        },
    ],
)
def test_a_manifest_of_the_wrong_kinds_is_refused_and_not_kept(machine, wrong):
    path = machine / "ours.toml"
    path.write_text(manifest_of(ENTRY))
    assert import_file(path)[0].name == "ours"
    remove(find_entry("ours"))
    path.write_text(manifest_of(ENTRY | wrong))
    with pytest.raises(WeightsCorruptError, match=r"ours\.toml"):
        import_file(path)
    assert "ours" not in [entry.name for entry in list_entries()]


def test_nothing_of_a_manifest_with_a_shipped_name_is_kept(machine):
    text, path = manifest_of(ENTRY), machine / "ours.toml"
    path.write_text(text + "\n" + text.replace("[ours]", "[gain-small]"))
    with pytest.raises(ModelError, match="'gain-small' is the name of a shipped model"):
        import_file(path)
    assert "ours" not in [entry.name for entry in list_entries()]


def test_a_manifest_of_nothing_is_refused(machine):
    (machine / "ours.toml").write_text("# nothing\n")
    with pytest.raises(WeightsCorruptError, match="names no model"):
        import_file(machine / "ours.toml")


def test_settings_without_end_are_refused(authors):
    (authors / "all.json").write_text("[" * 100_000)
    with pytest.raises(WeightsCorruptError, match=r"all\.json"):
        import_file(authors / "all.pth")
