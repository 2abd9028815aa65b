"""The queue of the SAXS detector end to end: 1M frames on disk become curves on disk, by two worker processes.

The peer is what one writes with fabio, pyFAI and numpy: one process, so its figure is taken twice for two workers.
Run with ``python -m benchmarks saxs_queue``.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import Figure
from devices.drivers.detector_image import read_detector_image
from devices.drivers.mask_file import encode_fit2d_mask
from devices.pipelines.saxs_geometry import ANGSTROM_STAR_NM
from devices.pipelines.saxs_integrate import Integrator
from devices.saxs import SaxsDetector
from devices.simulators.saxs import SilverBehenate, write_image

FRAMES = 60  # different ones, 240 MB: more than the caches of a processor hold
COPIES = 25  # links to each
PEER_FRAMES = 40


def run() -> list[Figure]:
    """Images a second with HDF5, with text, and of CBF files."""
    with tempfile.TemporaryDirectory(prefix="saxs-queue-") as folder:
        base = Path(folder)
        detector = _prepare(base)
        figures = []
        for kind, outputs, target in (("tif", "hdf5", 500.0), ("tif", "chi", 300.0), ("cbf", "hdf5", None)):
            rate, peer = asyncio.run(_measure(base, kind, outputs)), 2.0 * _peer(base, kind, detector)
            name = f"SAXS: {kind} to {outputs}, 2 workers (peer: fabio, pyFAI, savetxt)"
            figures.append(Figure(name, rate, "images/s", peer, above=target))
        for kind, target in (("tif", None), ("cbf", 250.0)):
            rate = _one_process(base, kind, detector)
            figures.append(Figure(f"SAXS: {kind} read and integrated, one process", rate, "images/s", above=target))
        return figures


def _one_process(base: Path, kind: str, detector: SilverBehenate) -> float:
    """Images per second of processor time."""
    integrator = Integrator(detector.geometry, detector.mask)
    files = sorted((base / kind / "0").iterdir())
    integrator.integrate(read_detector_image(files[0]).data)
    began = time.process_time()
    for file in files:
        integrator.integrate(read_detector_image(file).data)
    return len(files) / (time.process_time() - began)


def _peer(base: Path, kind: str, detector: SilverBehenate) -> float:
    """Images per second of one process that reads with fabio, integrates with pyFAI and writes with numpy."""
    import fabio
    from pyFAI.detectors import Detector
    from pyFAI.integrator.azimuthal import AzimuthalIntegrator

    geometry = detector.geometry
    rows = geometry.image_size[0]
    peer = AzimuthalIntegrator(
        detector=Detector(172e-6, 172e-6, max_shape=geometry.image_size),
        wavelength=geometry.wavelength_angstrom * ANGSTROM_STAR_NM * 1e-9,
    )
    center_y, center_x = geometry.beam_center
    peer.setFit2D(geometry.distance_mm, center_x, rows - center_y, pixelX=geometry.pixel_um, pixelY=geometry.pixel_um)
    files = sorted((base / kind / "0").iterdir())[:PEER_FRAMES]

    def integrate(file: Path) -> None:
        found = peer.integrate1d_ng(
            fabio.open(str(file)).data, geometry.bins, mask=detector.mask, unit="q_nm^-1",
            method=("bbox", "csc", "cython"), error_model="poisson", correctSolidAngle=False,
        )  # fmt: skip
        np.savetxt(base / "peer.txt", np.column_stack([found.radial, found.intensity, found.sigma]))

    integrate(files[0])
    began = time.perf_counter()
    for file in files:
        integrate(file)
    return len(files) / (time.perf_counter() - began)


def _prepare(base: Path) -> SilverBehenate:
    detector = SilverBehenate((1043, 981), seed=3)
    (base / "mask.msk").write_bytes(encode_fit2d_mask(detector.mask))
    (base / "calibration.json").write_text(json.dumps(detector.calibration()))
    for kind in ("tif", "cbf"):
        for number in range(FRAMES):
            first = base / kind / "0" / f"frame_{number:04d}.{kind}"
            first.parent.mkdir(parents=True, exist_ok=True)
            write_image(first, detector.expose(1.0), 1.0, time.time())
            for copy in range(1, COPIES):
                other = base / kind / str(copy) / f"{copy}_{first.name}"
                other.parent.mkdir(parents=True, exist_ok=True)
                os.link(first, other)
    return detector


async def _measure(base: Path, kind: str, outputs: str) -> float:
    properties: dict[str, Any] = {
        "folder": str(base), "executor": "process:2", "outputs": outputs, "watch": False,
        "output_folder": str(base / f"results-{kind}-{outputs}"),
    }  # fmt: skip
    document = json.loads((base / "calibration.json").read_text()) | {"Directory": [kind], "Threads": 2}
    device = SaxsDetector("saxs/benchmark/1", properties)
    await device.start()
    try:
        while not device.connected:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await device.run("new_queue", {"calibration": json.dumps(document)})
        queue = device.control.queue
        assert queue is not None
        first = sorted((base / kind / "0").iterdir())
        queue.add(map(str, first))  # the workers tabulate their integrators
        await queue.drained()
        images = FRAMES * COPIES
        began, before = time.perf_counter(), queue.processed
        await device.control.read_folder()
        await queue.drained()
        seconds = time.perf_counter() - began
        assert queue.processed - before == images and not queue.failures
        return images / seconds
    finally:
        await device.stop()
