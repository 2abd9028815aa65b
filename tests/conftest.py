"""What every test finds: no control system of the machine's own, only what a test starts itself."""

from __future__ import annotations

import os

from servers.garbage import collect_apart

for _name in list(os.environ):
    if _name == "TANGO_HOST" or _name.startswith("EPICS_"):
        del os.environ[_name]

collect_apart()  # tests have proxies and run mirrors in one process, as servers do
