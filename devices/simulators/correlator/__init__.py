"""Correlator nodes: each sends the images of its sub-band, noise with a dispersed pulse now and then, to an ingest."""

from devices.simulators.correlator.simulator import run

__all__ = ["run"]
