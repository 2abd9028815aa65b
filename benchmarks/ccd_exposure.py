"""A whole exposure of a CCD: from the request to the file on the disk, 4096 x 4096 px, 4 amplifiers; and 9k x 9k, 16.

The camera runs in a process of its own, the simulated Archon, which reads out at once, in another one. Peers in turns
on the same machine: a plain copy of the frame from the same simulator, and a plain write of as many bytes with fsync.
What they do not take is overhead. The time until the frame of the controller is complete does not count, nor does the
clearing of the detector, which is off; display and quick look of an image have ended before the next one begins.

azcam comes after it, on the same simulator, as its driver loads a configuration of its own: one whose timing script
reads by itself. Of its exposures, too, the time counts in which it does not wait for the controller, which it asks
every 0.5 s; it flushes nothing, displays nothing, and does not wait until its file is on the disk.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peer_home
from benchmarks.ccd_images import DISK
from benchmarks.figure import Figure
from devices.ccd import ArchonController, CcdDisplay, CcdExposure, SimulatedInstrument, SimulatedTelescope
from devices.ccd.archon_link import ArchonLink
from devices.core import Device
from devices.core.peers import Peers
from devices.simulators.archon import run as simulate
from tests.support.peak import Peak

ROUNDS = 5
ACF = Path(__file__).parents[1] / "dbconfig" / "ccd" / "archon.acf"
#: Columns, rows, amplifiers along columns; two along rows; 32 columns of overscan each.
CAMERAS = {"4096 x 4096 px, 4 amps": (4096, 4096, 2), "9216 x 9216 px, 16 amps": (9216, 9216, 8)}


def run() -> list[Figure]:
    figures = []
    for name, (columns, rows, across) in CAMERAS.items():
        frame_bytes = 2 * (columns + 32 * across) * rows
        with tempfile.TemporaryDirectory(dir=".") as disk, tempfile.TemporaryDirectory(dir=_memory()) as memory:
            found = _measured(columns, rows, across, Path(disk), Path(memory), frame_bytes)
        is_small = across == 2
        beyond = found["memory"] - found["copy"] - found["memory_raw"]
        limit = 60.0 if is_small else None
        disk_part = found["disk"] - found["copy"] - beyond
        figures += [
            Figure(f"CCD: exposure, {name}, file in memory (peer: azcam)", found["memory"], "ms", found.get("azcam")),
            Figure("CCD: of it neither copy nor plain write", beyond, "ms", below=limit),
            Figure(f"CCD: exposure, {name}, whole, on disk", found["disk"], "ms"),
            Figure(
                "CCD: file on disk (peer: plain write, fsync)",
                disk_part,
                "ms",
                found["disk_raw"],
                at_least=1 / 1.3,
                short=DISK,
            ),
            Figure("CCD: memory that exposures took, in images", found["images"], "images", below=2.5),
        ]
    return figures


def _memory() -> str:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else "."


def _measured(columns: int, rows: int, across: int, disk: Path, memory: Path, frame_bytes: int) -> dict[str, float]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    context = multiprocessing.get_context("spawn")
    simulator = context.Process(target=_simulator, args=(port, columns, rows), daemon=True)
    here, there = context.Pipe()
    camera = context.Process(target=_camera, args=(there, port, columns, rows, across, disk, memory), daemon=True)
    simulator.start()
    camera.start()
    try:
        found = asyncio.run(_in_turns(here, port, disk, memory, frame_bytes))
        camera.terminate()
        if across == 2 and (python := peer_home.install("azcam")) is not None:
            found["azcam"] = _azcam(python, port, columns, rows, memory)
        return found
    finally:
        for process in (camera, simulator):
            process.terminate()
            process.join()


def _azcam(python: Path, port: int, columns: int, rows: int, folder: Path) -> float:
    """Exposures of azcam, ms."""
    with tempfile.TemporaryDirectory() as place:
        configuration = Path(place) / "azcam.acf"
        text = _with_taps(ACF.read_text(), 4).replace('"ReadOut=0"', '"Spare7=0"')
        text = re.sub(r"(?m)^LINECOUNT=.*$", f"LINECOUNT={rows // 2}", text)
        configuration.write_text(re.sub(r"(?m)^PIXELCOUNT=.*$", f"PIXELCOUNT={columns // 2 + 32}", text))
        words = ["127.0.0.1", port, configuration, columns, rows, folder]
        script = Path(__file__).with_name("azcam_exposure_peer.py")
        with subprocess.Popen(
            [str(python), str(script), *map(str, words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=place,
        ) as peer:  # fmt: skip
            assert peer.stdin is not None and peer.stdout is not None
            if peer.stdout.readline().strip() != "ready":
                raise RuntimeError("azcam does not get along with the simulated controller")
            seconds = []
            for _ in range(ROUNDS + 1):
                peer.stdin.write("\n")
                peer.stdin.flush()
                seconds.append(float(peer.stdout.readline()))
            peer.stdin.close()
    return 1e3 * statistics.median(seconds[1:])


def _simulator(port: int, columns: int, rows: int) -> None:
    options = {"columns": columns, "rows": rows, "scene": "test", "prescan": 0, "pixel_rate_hz": 1e9, "row_s": 0.0}
    asyncio.run(simulate(port, {**options, "sweep_s": 0.0}))


async def _in_turns(camera: Connection, port: int, disk: Path, memory: Path, frame_bytes: int) -> dict[str, float]:
    took: dict[str, list[float]] = {name: [] for name in ("memory", "disk", "copy", "memory_raw", "disk_raw")}
    content = bytes(np.random.default_rng(0).integers(0, 255, frame_bytes, np.uint8))
    room = bytearray(-(-frame_bytes // 1024) * 1028)
    for number in range(ROUNDS + 1):
        for name, folder in (("memory", memory), ("disk", disk)):
            seconds = await asyncio.to_thread(_asked, camera, name)
            raw = await asyncio.to_thread(_raw, folder / "raw", content)
            if number:
                took[name].append(seconds)
                took[f"{name}_raw"].append(raw)
        took["copy"].append(await asyncio.to_thread(_plain_copy, port, room))
    images = await asyncio.to_thread(_asked, camera, "peak") / frame_bytes
    return {name: 1e3 * statistics.median(each) for name, each in took.items()} | {"images": images}


def _asked(camera: Connection, what: str) -> float:
    camera.send(what)
    answer = camera.recv()
    if isinstance(answer, str):
        raise RuntimeError(answer)
    return float(answer)


def _raw(path: Path, content: bytes) -> float:
    began = time.perf_counter()
    with path.open("xb", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())
    seconds = time.perf_counter() - began
    path.unlink()
    return seconds


def _plain_copy(port: int, room: bytearray) -> float:
    """The newest frame, taken into memory that is there already, and nothing done with it."""
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b">01FRAME\n")
        reply = b""
        while not reply.endswith(b"\n"):
            reply += plain.recv(4096)
        base = int(re.search(rb"BUF1BASE=(\d+)", reply)[1])  # type: ignore[index]
        view = memoryview(room)
        began = time.perf_counter()
        plain.sendall(f">02FETCH{base:08X}{len(room) // 1028:08X}\n".encode("ascii"))
        received = 0
        while received < len(view):
            received += plain.recv_into(view[received:])
        return time.perf_counter() - began


def _camera(orders: Connection, port: int, columns: int, rows: int, across: int, disk: Path, memory: Path) -> None:
    asyncio.run(_serve(orders, port, (columns, rows, across), {"disk": disk.resolve(), "memory": memory.resolve()}))


async def _serve(orders: Connection, port: int, detector: tuple[int, int, int], folders: dict[str, Path]) -> None:
    async with _running(port, detector, folders) as exposure:
        await exposure.put("flush_array", False)
        link = exposure.scene.controller.link
        assert isinstance(link, ArchonLink)
        clock = Clock(link.driver.wait_frame)
        link.driver.wait_frame = clock.waits  # type: ignore[method-assign]
        # A small image first: whatever is compiled and imported is there afterwards.
        await exposure.run("set_roi", {"row_bin": 64})
        await _exposed(exposure)
        await exposure.run("roi_reset")
        peak = Peak()
        while True:
            what = await asyncio.to_thread(orders.recv)
            try:
                if what == "peak":
                    orders.send(float(peak.grown))
                    continue
                await exposure.put("image_folder", str(folders[what]))
                began = time.perf_counter()
                file = await _exposed(exposure)
                orders.send(time.perf_counter() - began - clock.seconds)
                while exposure.looked_at.value != Path(file).name:  # noqa: ASYNC110 (as clients see it)
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(Path(file).unlink)
            except Exception as error:
                orders.send(f"{type(error).__name__}: {error}")


class Clock:
    """How long the controller took for its frame, the last time."""

    def __init__(self, wait: Callable[..., Awaitable[Any]]) -> None:
        self._wait = wait
        self.seconds = 0.0

    async def waits(self, *words: Any) -> Any:
        began = time.perf_counter()
        found = await self._wait(*words)
        self.seconds = time.perf_counter() - began
        return found


async def _exposed(exposure: CcdExposure) -> str:
    identity = str(await exposure.run("expose", {"seconds": 0.0, "image_type": "zero"}))
    while exposure.operations.status(identity)["state"] in ("QUEUED", "RUNNING"):  # noqa: ASYNC110 (as clients see it)
        await asyncio.sleep(0.001)
    status: dict[str, Any] = exposure.operations.status(identity)
    if status["state"] != "DONE":
        raise RuntimeError(str(status["error"]))
    return str(status["result"]["file"])


@asynccontextmanager
async def _running(port: int, detector: tuple[int, int, int], folders: dict[str, Path]) -> AsyncIterator[CcdExposure]:
    columns, rows, across = detector
    amps = 2 * across
    setup = {
        "format": [columns, 0, 0, 32, rows, 0, 0, 0, 0],
        "focalplane": [1, 1, across, 2, [amp % 2 + 2 * (amp // across) for amp in range(amps)]],
    }
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "bench.acf"
        configuration.write_text(_with_taps(ACF.read_text(), amps))
        exposure = CcdExposure(
            "ccd/1/exposure",
            {
                "controller": "ccd/1/controller", "instrument": "ccd/1/instrument", "telescope": "ccd/1/telescope",
                "display": "ccd/1/display", "detector": json.dumps(setup), "data_folder": str(folders["disk"]),
                "allowed_folders": [str(folders["memory"])], "overwrite": "true",
            },
        )  # fmt: skip
        devices: list[Device] = [
            ArchonController(
                "ccd/1/controller", {"link": f"tcp://127.0.0.1:{port}", "configuration": str(configuration)}
            ),
            *(SimulatedInstrument("ccd/1/instrument"), SimulatedTelescope("ccd/1/telescope")),
            *(CcdDisplay("ccd/1/display"), exposure),
        ]
        peers = Peers()
        for each in devices:
            each.peers = peers
            peers.add(each)
            await each.start()
        end = time.monotonic() + 60.0
        while not all(each.connected for each in devices):
            if time.monotonic() > end:
                raise TimeoutError("the camera is not ready within 60 s")
            await asyncio.sleep(0.05)
        yield exposure
        for each in reversed(devices):
            await each.stop()


def _with_taps(text: str, taps: int) -> str:
    """The configuration with so many taps, all read from the left."""
    lines = [line for line in text.splitlines() if not re.match(r"TAPLINE(S=|\d+=)", line)]
    at = lines.index("[CONFIG]") + 1
    named = [f'TAPLINE{n}="AD{n + 1}L, 1.0, 0"' for n in range(taps)]
    return "\n".join([*lines[:at], f"TAPLINES={taps}", *named, *lines[at:]]) + "\n"


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
