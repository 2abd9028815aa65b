"""How a device reaches other Tango devices and EPICS PVs: what is behind `devices.core.neighbours`."""
