"""Half an hour of the mirror: a thousand PVs, clients that come and go, device servers that are killed.

``DIPTYCH_SOAK_MINUTES`` makes it shorter or longer, ``DIPTYCH_SOAK_SEED`` repeats one.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.soak.clients import PROCESSES, Clients
from tests.soak.drive import Drive, Tale
from tests.soak.samples import SPARE, Samples, figures, growths, usage, write
from tests.soak.site import Site, write_facility
from tests.support.demo_facility import free_offset, started, stopped
from tests.support.serving import ROOT, wait_until

MINUTES = float(os.environ.get("DIPTYCH_SOAK_MINUTES", "30"))
WARM_UP = min(600.0, 60 * MINUTES / 3)  # s
SEED = int(os.environ.get("DIPTYCH_SOAK_SEED", random.SystemRandom().randrange(1 << 30)))
TOLD = ("bursts", "server_kills", "finals", "slowest_final", "links", "missed")
REPORT = ROOT / "var" / "soak"


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES + 600)
def test_the_mirror_serves_everybody_all_the_time_and_keeps_its_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\nseed {SEED}, {MINUTES:g} minutes, report and logs in {REPORT}")
    shutil.rmtree(REPORT, ignore_errors=True)
    REPORT.mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where the device's class is
    facility = started(REPORT / "state", free_offset(), file=write_facility(REPORT))
    try:
        report = soak(Site(facility), REPORT / "clients.log")
    finally:
        stopped(facility)
    with capsys.disabled():
        for name, found in report.items():
            print(f"{name}: {found[:20] if isinstance(found, list) else found}")
    assert report["pvs"] >= 900
    assert not report["wrong"]
    assert not report["missed"]
    assert report["finals"] > 100 * MINUTES and report["links"] and report["server_kills"], "too little happened"
    assert not report["tracebacks"]
    assert report["image_starts"] == 1
    assert not report["left"], "files and threads of clients that have gone"
    assert not report["growths"]


def soak(site: Site, log: Path) -> dict[str, Any]:
    """Run it, with a moment without any client after the warm-up and at the end; returns the figures."""
    processes = {"mirror": site.mirror, "images": site.images}
    environment = os.environ | site.facility.environment
    clients = Clients(environment, log)
    pva = {name: text for name, text in environment.items() if name.startswith("EPICS_PVA_")}
    drive = Drive(site, clients, pva, SEED)
    samples = Samples(processes, lambda: {"updates": clients.counts.get("updates", 0), "subscriptions": clients.live})
    samples.start()
    begun = time.monotonic()
    drive.run(WARM_UP)
    quiet = quiet_usage(site, processes)
    warm = time.monotonic() - begun
    drive.run(60 * MINUTES - WARM_UP)
    seconds = time.monotonic() - begun
    taken = samples.stop()
    quiet_at_end = quiet_usage(site, processes)
    rows = {name: figures(taken, name, warm) for name in processes}
    report = {
        "seed": SEED,
        "minutes": seconds / 60,
        "clients": sum(count for *_, count in PROCESSES),
        **clients.counts,
        "client_kills": clients.kills,
        **{
            name: getattr(drive.tale, name)
            for name in ("bursts", "server_kills", "finals", "slowest_final", "links", "missed")
        },
        "wrong": wrong(clients.tally.faults, drive.tale),
        "failed_puts": sum(fault["fault"] == "put" for fault in clients.tally.faults),
        **site.statistics(),
        "tracebacks": site.log_lines(lambda line: "Traceback" in line),
        "cpu": {name: quiet_at_end[name]["cpu_s"] / seconds for name in processes},
        "quiet": {"warm": quiet, "end": quiet_at_end},
        "left": left(quiet, quiet_at_end),
        "figures": rows,
        "growths": [f"{name} {text}" for name, row in rows.items() for text in growths(row)],
    }
    write(REPORT, report, taken)
    return report


def wrong(faults: list[dict[str, Any]], tale: Tale) -> list[str]:
    """All faults but puts that failed while their server was dead."""
    return [
        f"{fault['fault']} {fault.get('client', '')}: {fault['text']}"
        for fault in faults
        if fault["fault"] != "put" or not tale.was_away(fault["rack"], fault["begun"], fault["ended"])
    ] + tale.faults


def quiet_usage(site: Site, processes: dict[str, psutil.Process]) -> dict[str, dict[str, float]]:
    """What the processes have when the last client has gone."""

    def is_quiet() -> bool:
        found = site.statistics()
        return not found["ca_clients"] and not found["pva_channels"]

    wait_until(is_quiet, 30.0, "all clients have gone")
    time.sleep(5.0)  # what is closed is also given back
    return {name: usage(process) for name, process in processes.items()}


def left(before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]) -> list[str]:
    """Files and threads without any client: what there are more of than after the warm-up."""
    return [
        f"{name}: {after[name][trace]:g} {trace}, {before[name][trace]:g} after the warm-up"
        for name in before
        for trace in ("files", "threads")
        if after[name][trace] > before[name][trace] + SPARE[trace]
    ]
