"""``diptych shell``: the devices of a facility as Python objects, and the tools of a camera under azcam's names."""
