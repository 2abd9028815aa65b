"""The azcam command server and web API: what consoles, scripts and web pages of azcam talk to, of one camera."""
