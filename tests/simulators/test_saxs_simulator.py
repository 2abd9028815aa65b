"""The simulated detector: its files are complete, its rings lie where silver behenate's do."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.core.errors import ConfigurationError
from devices.drivers.detector_image import read_detector_image
from devices.drivers.mask_file import read_mask
from devices.drivers.saxs_calibration import parse_calibration, read_calibration
from devices.pipelines.saxs_integrate import Integrator
from devices.simulators.saxs import SilverBehenate, run, write_image

FIRST_RING = 2 * np.pi / 5.838  # nm^-1, d = 58.38 Angstrom


def run_until(folder: Path, done: Callable[[], bool], **options: Any) -> None:
    """Let the simulator write into a folder until `done`, for 20 s at most."""

    async def watch() -> None:
        simulator = asyncio.create_task(run(0, {"folder": str(folder), "rate_hz": 50, **options}))
        deadline = time.monotonic() + 20.0
        while not done():
            assert not simulator.done(), simulator.exception()
            assert time.monotonic() < deadline, "the files were not there after 20 s"
            await asyncio.sleep(0.01)
        simulator.cancel()
        await asyncio.gather(simulator, return_exceptions=True)

    asyncio.run(watch())


def images(folder: Path, suffix: str = "tif") -> list[Path]:
    return sorted(folder.glob(f"agbeh_*.{suffix}"))


@pytest.mark.parametrize("suffix", ["tif", "cbf", "edf"])
def test_the_folder_holds_all_that_an_integration_needs(suffix: str, tmp_path: Path) -> None:
    run_until(tmp_path, lambda: len(images(tmp_path, suffix)) >= 3, shape="256x320", format=suffix)
    calibration = read_calibration(tmp_path / "calibration.json").masks[0]
    assert calibration.file is not None
    integrator = Integrator(calibration.geometry, read_mask(calibration.file))
    image = read_detector_image(images(tmp_path, suffix)[0])
    assert image.data.shape == (256, 320)
    assert image.exposure_seconds == 0.02
    assert image.timestamp == pytest.approx(time.time(), abs=60.0)
    profile = integrator.integrate(image.data)
    near = np.abs(profile.q - FIRST_RING) < 0.2
    assert profile.q[near][np.nanargmax(profile.intensity[near])] == pytest.approx(FIRST_RING, abs=0.04)


@pytest.mark.parametrize("shape", [(256, 320), (1043, 981)])
def test_every_ring_lies_at_a_multiple_of_the_first(shape: tuple[int, int], tmp_path: Path) -> None:
    detector = SilverBehenate(shape, seed=3)
    calibration = parse_calibration(detector.calibration(), "simulator", tmp_path).masks[0]
    assert calibration.geometry == detector.geometry
    profile = Integrator(calibration.geometry, detector.mask).integrate(detector.expose(20.0))
    step = profile.q[1] - profile.q[0]
    for order in (1, 2, 3, 4, 5):
        near = np.abs(profile.q - order * FIRST_RING) < 0.08
        q, height = profile.q[near], profile.intensity[near] - np.nanmin(profile.intensity[near])
        assert (q * height).sum() / height.sum() == pytest.approx(order * FIRST_RING, abs=step / 2)


def test_counts_scatter_as_photons_do() -> None:
    detector = SilverBehenate((64, 90), seed=1)
    frames = np.array([detector.expose(0.5) for _ in range(400)])[:, ~detector.mask]
    mean, variance = frames.mean(axis=0), frames.var(axis=0, ddof=1)
    assert (variance / mean).mean() == pytest.approx(1.0, abs=0.02)


def test_gaps_dead_pixels_and_beam_stop_are_masked() -> None:
    detector = SilverBehenate((1043, 981), seed=2)
    frame = detector.expose(100.0)
    assert (frame[195:212] == -1).all(), "the first gap of a PILATUS 1M"
    assert (frame[:, 487:494] == -1).all()
    assert (frame[:195, :487] >= -2).all()
    assert 50 < (frame == -2).sum() < 150
    assert detector.mask[frame < 0].all()
    row, column = (int(p) for p in (1043 - detector.geometry.beam_center[0], detector.geometry.beam_center[1]))
    assert frame[row + 1, column] < 20
    assert detector.mask[row + 1, column]
    assert (frame[~detector.mask] > 100).all(), "no shadow is left unmasked"


def test_one_seed_gives_one_series_of_frames() -> None:
    first, second, other = (SilverBehenate((64, 90), seed) for seed in (4, 4, 5))
    for _ in range(2):
        frame = first.expose(1.0)
        np.testing.assert_array_equal(frame, second.expose(1.0))
        assert (frame != other.expose(1.0)).any()


def test_only_the_newest_files_are_kept_and_a_restart_counts_on(tmp_path: Path) -> None:
    def newest() -> int:
        return int(images(tmp_path)[-1].stem.split("_")[1]) if images(tmp_path) else 0

    run_until(tmp_path, lambda: newest() >= 6, keep=3, shape="64x90")
    last = newest()
    assert [int(file.stem[-5:]) for file in images(tmp_path)] == [last - 2, last - 1, last]
    run_until(tmp_path, lambda: newest() > last, keep=3, shape="64x90")
    assert newest() > last


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """Every name that appears can be read at once, and nothing else lies about."""
    read: set[str] = set()

    def read_all() -> bool:
        for file in images(tmp_path):
            if file.name not in read:
                assert read_detector_image(file).data.shape == (256, 320)
                read.add(file.name)
        return len(read) >= 15

    run_until(tmp_path, read_all, rate_hz=200, keep=10_000)
    assert {file.suffix for file in tmp_path.iterdir()} == {".tif", ".json", ".msk"}


def test_the_header_is_that_of_a_pilatus(tmp_path: Path) -> None:
    moment = datetime(2026, 3, 1, 12, 30, 45, 250_000).timestamp()
    frame = np.arange(35, dtype=np.int32).reshape(5, 7)
    for suffix in ("tif", "cbf", "edf"):
        write_image(tmp_path / f"a.{suffix}", frame, 0.125, moment)
        image = read_detector_image(tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(image.data, frame)
        assert (image.exposure_seconds, image.timestamp) == (0.125, moment)
    assert read_detector_image(tmp_path / "a.tif").header["Pixel_size"] == "172e-6 m x 172e-6 m"


def test_all_wrong_options_are_reported_at_once() -> None:
    options = {"rate_hz": "fast", "keep": 0, "shape": "256", "format": "png", "sead": 1}
    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(run(0, options))
    assert sorted(caught.value.problems) == [
        "folder is missing: where the images appear",
        "format = png is not tif, cbf or edf",
        "keep = 0 is not a number in [1, 1e+06]",
        "rate_hz = fast is not a number in [0.001, 1000]",
        'shape = 256 is not rows x columns of 10 to 9999 px, such as "256x320"',
        "unknown option sead",
    ]
