"""The recorder of a facility as `diptych historian` runs it, with a given list of PVs; answers what it kept."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from servers.facility.pv_list import ServedPv
from servers.garbage import collect_apart
from servers.history.archive_list import ArchiveList
from servers.history.process import TAKE_S
from servers.history.recorder import Recorder
from servers.history.spool import Spool
from servers.history.sqlite_store import SqliteStore
from servers.history.state import State
from servers.history.writer import Writer


def main() -> None:
    """Told how many PVs, the port and a folder; runs until its input ends, and answers every line."""
    count, port, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    collect_apart()
    received = kept = written = 0

    def tell(state: State) -> None:
        nonlocal written
        written += round(state.samples_per_s)

    writer = Writer(lambda: SqliteStore(folder / "history.sqlite"), Spool(folder / "backlog"), tell)
    recorder = Recorder("127.0.0.1", port, ArchiveList())
    writer.start()
    stop = threading.Event()

    def answer() -> None:
        for _ in sys.stdin:
            print(json.dumps({"received": received, "kept": kept, "written": written}), flush=True)
        stop.set()

    threading.Thread(target=answer, daemon=True).start()
    pvs = [ServedPv(f"R{n}", "many/1", "value", "float64", 0, False, "operator") for n in range(count)]
    writer.put(recorder.follow(pvs))
    taken = 0
    while not stop.wait(TAKE_S):
        samples = recorder.take()
        taken += len(samples)
        received, kept = recorder.received, taken + len(recorder._waiting)  # those are kept in a moment
        writer.put(samples)
        writer.describe(*recorder.described())
    writer.stop(recorder.close())


if __name__ == "__main__":
    main()
