"""The server process of a test: one device, no database."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from servers.facility.facility_file import Facility
from servers.facility.ports import Ports
from servers.host import Host


def main() -> int:
    device_class, device, folder, port, *properties = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    class_name = device_class.partition(":")[2]
    given = {key: value.split("\n") for key, _, value in (each.partition("=") for each in properties)}
    state_dir = Path(folder)
    facility = Facility(
        name="test",
        path=state_dir / "test.json",
        state_dir=state_dir,
        ports=Ports(),
        devices={"Diptych/test": {class_name: {device: given}}},
        classes={class_name: device_class},
    )
    host = Host("Diptych/test", facility, tango_host=None, state_dir=state_dir, tango_port=int(port))
    draft = state_dir / "port.new"
    draft.write_text(str(host.tango_port))
    draft.replace(state_dir / "port")
    return host.run()


if __name__ == "__main__":
    sys.exit(main())
