"""``diptych observe``: observing scripts from a terminal."""
