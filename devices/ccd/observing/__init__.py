"""Observing scripts: rows of targets, filters and exposures that a camera carries out by itself."""
