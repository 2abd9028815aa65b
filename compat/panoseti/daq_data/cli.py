"""``python -m daq_data.cli``: the same as ``diptych daq client``."""

from servers.daqdata.command import client

if __name__ == "__main__":
    client.main(prog_name="python -m daq_data.cli")
