"""The log of a facility: what all its processes said, and every write, as one list."""
