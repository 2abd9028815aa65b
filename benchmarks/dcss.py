"""The link to DCSS: operations that do nothing, logins while eight calculate, the return after losses.

Against the simulated DCSS, whose own time is in every figure; the peer is a blocking socket in a process of its own
that only ever answers operations (pydhsfw, the framework of the beamlines, is on no package index).
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time

from benchmarks.figure import Figure
from devices.simulators.dcss import Database, DcssSimulator

DATABASE = {"hosts": {"loop": {}}, "devices": [{"kind": "operation", "names": ["noop", "busy"], "host": "loop"}]}
ROUNDS = 3
SECONDS = 1.0
LOGINS = 15
BUSY = 8


def run() -> list[Figure]:
    return asyncio.run(_run())


async def _run() -> list[Figure]:
    rates: dict[tuple[str, int], list[float]] = {}
    waits: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(ROUNDS):
        for kind in ("ours", "plain"):
            async with DcssSimulator(Database.of(DATABASE)) as dcss, _Server(kind, dcss):
                for flights in (1, 8, 64):
                    rate, found = await _operations(dcss, flights)
                    rates.setdefault((kind, flights), []).append(rate)
                    if flights == 1:
                        waits[kind] += found
    figures = [
        Figure(
            f"DCSS: no-op operations, {flights} in flight (peer: a bare socket)",
            statistics.median(rates["ours", flights]),
            "ops/s",
            statistics.median(rates["plain", flights]),
            above=1500.0 if flights == 1 else None,
        )
        for flights in (1, 8, 64)
    ]
    p50 = {kind: statistics.median(found) * 1e3 for kind, found in waits.items()}
    figures.append(Figure("DCSS: a no-op operation, p50", p50["ours"], "ms", p50["plain"], below=1.0))
    async with DcssSimulator(Database.of(DATABASE)) as dcss, _Server("ours", dcss):
        for how in ("close", "reset"):
            back = [await _return(dcss, how) for _ in range(5)]
            figures.append(Figure(f"DCSS: back after a {how}, worst of 5", max(back), "s", below=1.0))
        for _ in range(BUSY):
            dcss.engine.start_operation("busy")
        await asyncio.sleep(0.3)
        dcss.hardware.answers_s.clear()
        ends = time.monotonic() + 6.0
        while len(dcss.hardware.answers_s) < LOGINS and time.monotonic() < ends:
            await _return(dcss, "close")
        answers = dcss.hardware.answers_s
        name = f"DCSS: answer to a login while {BUSY} threads calculate"
        figures.append(Figure(f"{name}, p50 of {len(answers)}", statistics.median(answers) * 1e3, "ms", below=50.0))
        figures.append(Figure(f"{name}, worst", max(answers) * 1e3, "ms"))
    return figures


async def _operations(dcss: DcssSimulator, flights: int) -> tuple[float, list[float]]:
    """Operations per second, and how long each took, s."""
    waits: list[float] = []
    end = time.perf_counter() + SECONDS

    async def one_after_the_other() -> None:
        while time.perf_counter() < end:
            run = dcss.engine.start_operation("noop", "0.1 0.2")
            status, _ = await run.news.get()
            assert status == "normal", status
            waits.append(run.ended - run.started)

    began = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(flights)))
    return len(waits) / (time.perf_counter() - began), waits


async def _return(dcss: DcssSimulator, how: str) -> float:
    began = time.perf_counter()
    dcss.hardware.drop("loop", how)
    await dcss.offline("loop")
    await dcss.online("loop")
    return time.perf_counter() - began


class _Server:
    def __init__(self, kind: str, dcss: DcssSimulator) -> None:
        self._kind, self._dcss = kind, dcss

    async def __aenter__(self) -> None:
        words = [sys.executable, "-m", "benchmarks.dcss_server", self._kind, str(self._dcss.port)]
        self._process = await asyncio.create_subprocess_exec(*words, stdin=subprocess.PIPE)
        await self._dcss.online("loop", 30.0)

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()
        await self._process.wait()
