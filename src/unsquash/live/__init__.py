"""How work that takes long is shown while it goes on: drawn on a terminal, in plain lines, or as JSON."""

from unsquash.live.display import Results, Showing, Style, batch_display, file_display, log_listener

__all__ = ["Results", "Showing", "Style", "batch_display", "file_display", "log_listener"]
