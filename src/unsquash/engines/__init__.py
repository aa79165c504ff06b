"""Engines: each answers how many decibels, at each sample, undo the squash."""
