"""Alarms of a facility: what is wrong, since when, who knows of it, and what to do."""
