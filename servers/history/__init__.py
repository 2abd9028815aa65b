"""What the PVs of a facility were: recorded, kept for a while, given out to trends and scripts."""
