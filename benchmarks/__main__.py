"""One table of speed: ``python -m benchmarks [NAME...] [--json FILE] [--markdown FILE]``.

The exit code is 1 when a target is missed that is not known to be out of reach.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figure import HEAD_ROW, HEADER, Figure, missed

#: With a greater load average at the start, clients and servers wait for a core and not for each other (measured).
BUSY = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed beside peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(GROUPS)}; all when none is given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE, too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a table in Markdown to FILE, too")
    chosen = parser.parse_args()
    for name in chosen.names:
        if name not in GROUPS:
            parser.error(f"{name} is not a benchmark; there are {', '.join(GROUPS)}")
    print(_machine())
    if os.getloadavg()[0] > BUSY:
        print("Others use this machine: the figures of p99 and of the worst will be theirs.")
    print(f"\n{HEADER}", flush=True)
    began = time.monotonic()
    figures: list[Figure] = []
    for name in chosen.names or GROUPS:
        for figure in GROUPS[name]():
            print(figure.line(), flush=True)
            figures.append(figure)
    news = [figure.name for figure in missed(figures)]
    print(f"\nratio: how many times as good as the peer; {time.monotonic() - began:.0f} s; {_machine()}")
    print(f"missed: {', '.join(news)}" if news else "all targets are reached, but for what is known to fall short")
    if chosen.json:
        chosen.json.write_text(json.dumps([figure.as_dict() for figure in figures], indent=1))
    if chosen.markdown:
        chosen.markdown.write_text("\n".join([HEAD_ROW, *(figure.row() for figure in figures), ""]))
    return 1 if news else 0


def _module(name: str) -> Callable[[], list[Figure]]:
    """The ``run`` of a module of this package, imported only when it is called: others may need what is not there."""

    def run() -> list[Figure]:
        figures: list[Figure] = importlib.import_module(f"benchmarks.{name}").run()
        return figures

    return run


def _saxs() -> list[Figure]:
    from benchmarks import saxs_integrate

    rows = {row["name"].partition(" (")[0]: row for row in saxs_integrate.run()}
    ours, peer = rows["ours, 3 x 3 sub-pixels, sigma"], rows["ratio to the best split method"]
    name = "SAXS: integrate 1043 x 981 (peer: pyFAI's best split)"
    setup = max(rows["set up a calibration, masked"]["ms"], rows["set up a calibration, without a mask"]["ms"])
    return [
        Figure(name, ours["ms"], "ms", peer["ms"], at_least=4.0),
        Figure("SAXS: set up a calibration, 9 sub-pixels", setup, "ms", below=300.0),
    ]


GROUPS: dict[str, Callable[[], list[Figure]]] = {
    "tango": _module("tango_server"),
    "epics": _module("epics"),
    "flood": _module("flood"),
    "fleet": _module("fleet"),
    "facility": _module("facility"),
    "saxs": _saxs,
    "saxs_queue": _module("saxs_queue"),
    "correlator_search": _module("correlator_search"),
    "history": _module("history"),
    "recorder": _module("recorder"),
    "images": _module("images"),
    "panels": _module("panels"),
    "alarms": _module("alarms"),
    "daq": _module("daq"),
    "daq_decode": _module("daq_decode"),
    "correlator_ingest": _module("correlator_ingest"),
    "ccd_archon": _module("ccd_archon"),
    "ccd_controllers": _module("ccd_controllers"),
    "ccd_images": _module("ccd_images"),
    "ccd_exposure": _module("ccd_exposure"),
    "azcam_server": _module("azcam_server"),
    "alpaca": _module("alpaca"),
    "sequencers": _module("sequencers"),
    "distributed": _module("distributed"),
    "dcss": _module("dcss"),
    "loop_detection": _module("loop_detection"),
    "loop_dhs": _module("loop_dhs"),
}


def _machine() -> str:
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    return f"{os.cpu_count()} cores, load average {load}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
