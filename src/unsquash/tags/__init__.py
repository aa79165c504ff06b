"""Tags, cover art and chunks: carried from the input to the output."""

from unsquash.tags.broadcast import Outcome
from unsquash.tags.carry import TagCarrier, TagWishes
from unsquash.tags.model import Pairs

__all__ = ["Outcome", "Pairs", "TagCarrier", "TagWishes"]
