"""Panels in a browser: the page, the PV socket and the image socket, served by one process."""
