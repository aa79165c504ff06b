"""Signal processing without neural networks: compressors and their inverse, limiter, loudness."""
