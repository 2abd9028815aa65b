"""The correlator image server: sub-band images of all nodes, assembled, searched for transients, and reported."""
