"""Live plots."""

from servers.daqdata.plot import PanoImagePreviewer, PulseHeightDistribution

__all__ = ["PanoImagePreviewer", "PulseHeightDistribution"]
