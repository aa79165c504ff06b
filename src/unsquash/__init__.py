"""unsquash gives squashed recordings their dynamics back."""
