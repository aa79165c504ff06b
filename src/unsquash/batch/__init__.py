"""Many files: find them, name their outputs, restore them in parallel, know what is done."""
