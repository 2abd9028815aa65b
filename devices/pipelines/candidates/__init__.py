"""From voxels over a threshold to candidates: reduced, clustered, cut out, classified."""
