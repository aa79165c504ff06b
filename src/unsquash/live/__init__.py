"""How work that takes long is shown while it goes on: drawn on a terminal, in plain lines, or as JSON."""

from unsquash.live.display import Style, batch_display, file_display, print_summary

__all__ = ["Style", "batch_display", "file_display", "print_summary"]
