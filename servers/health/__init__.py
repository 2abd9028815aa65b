"""The health of a facility: every process, what it costs, and whether it still works."""
