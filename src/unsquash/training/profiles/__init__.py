"""Training of the profile network: which compressor, of a known set or of any."""
