"""How work that takes long is shown while it goes on: drawn on a terminal, in plain lines, or as JSON."""

from unsquash.live.display import Showing, Style, batch_display, file_display

__all__ = ["Showing", "Style", "batch_display", "file_display"]
