"""``python -m tests.faults``: break a facility in every way, and see whether it keeps its promises; ``make soak``."""

from __future__ import annotations

import argparse
import os
import random
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Final

from tests.faults import report
from tests.faults.campaign import Campaign
from tests.faults.plant import NEEDS, WEB
from tests.faults.scene import Scene
from tests.support.serving import ROOT

SHORT: Final = "cryocon,ccd,alarms,health,web"
WHOLE: Final = ",".join((*NEEDS, WEB))
#: Mounts of this process are seen by nobody else, and go with it.
APART: Final = "DIPTYCH_FAULTS_APART"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--hours", type=float, default=0.0, help="how long; 0: every fault once")
    parser.add_argument("--every", type=float, default=None, help="s between two faults; 60 with --hours, otherwise 0")
    parser.add_argument("--hold", type=float, default=None, help="s that a fault lasts; 60 with --hours, otherwise 5")
    parser.add_argument("--servers", default=None, help=f"of the demo; {WHOLE} with --hours, otherwise {SHORT}")
    parser.add_argument("--only", action="append", help="a pattern of KIND/NAME of faults; repeatable")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "soak")
    given = parser.parse_args()
    given.folder = given.folder.resolve()
    live_apart()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)  # as Ctrl-C: nothing that was started is left
    is_long = given.hours > 0
    servers = (given.servers if given.servers is not None else WHOLE if is_long else SHORT).split(",")
    every, hold = (
        (60.0 if is_long else low) if value is None else value for value, low in ((given.every, 0.0), (given.hold, 5.0))
    )
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    began = time.monotonic()
    print(f"seed {given.seed}, everything is in {given.folder}", flush=True)
    scene = Scene(given.folder, servers, given.seed)
    campaign = Campaign(scene, 3600.0 * given.hours, every, hold, given.only or ["*"])
    try:
        scene.build()
        print(f"ready after {time.monotonic() - began:.0f} s; {scene.notes[-1]}", flush=True)
        campaign.run()
    except KeyboardInterrupt:
        scene.notes.append("ended by Ctrl-C")
    finally:
        scene.close()
        minutes = (time.monotonic() - began) / 60
        facts = {
            "date": time.strftime("%Y-%m-%d %H:%M"),
            "command": "python -m tests.faults " + shlex.join(sys.argv[1:]),
            "seed": str(given.seed),
            "facility": ", ".join(servers),
            "machine": report.machine(),
            "length": f"{minutes:.1f} minutes, {len(campaign.outcomes)} faults",
        }
        memory = scene.memory.figures() if hasattr(scene, "memory") else {}
        print(report.write(given.folder, facts, campaign.outcomes, scene.ledger.counts, memory, scene.notes))
    return 0 if campaign.outcomes and all(each.is_well for each in campaign.outcomes) else 1


def live_apart() -> None:
    """Go on in a mount namespace of one's own, where that can be had."""
    if os.geteuid() == 0 and APART not in os.environ and shutil.which("unshare"):
        words = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.faults", *sys.argv[1:]]
        os.execvpe(
            words[0], words, {**os.environ, APART: "1", "PVXS_LOG": "*=CRIT"}
        )  # its clients expect servers to go


if __name__ == "__main__":
    sys.exit(main())
