"""The bridge to DCSS of a macromolecular crystallography beamline, and the detector of crystal loops."""
