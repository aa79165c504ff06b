"""What was done to a recording: detectors that stream and do not know each other."""
