"""Network weights: a manifest of names and digests, where the files are, and how they get there.

`find_entry` → `obtain` (packaged, cached, else fetched; every byte checked) → `load_net`.
"""

from unsquash.weights.export import export
from unsquash.weights.importing import import_file
from unsquash.weights.loading import digest_of, load_gain_net, load_net, load_profile_net, read_gain_net
from unsquash.weights.manifest import (
    FileSource,
    HubSource,
    PackageSource,
    Source,
    WeightsEntry,
    WheelSource,
    find_entry,
    list_entries,
)
from unsquash.weights.store import Status, card_of, obtain, pull, remove, status, verified_path

__all__ = [
    "FileSource",
    "HubSource",
    "PackageSource",
    "Source",
    "Status",
    "WeightsEntry",
    "WheelSource",
    "card_of",
    "digest_of",
    "export",
    "find_entry",
    "import_file",
    "list_entries",
    "load_gain_net",
    "load_net",
    "load_profile_net",
    "obtain",
    "pull",
    "read_gain_net",
    "remove",
    "status",
    "verified_path",
]
