"""Where frames come from: files, sockets and packets of the recorder or of the quabos themselves."""
