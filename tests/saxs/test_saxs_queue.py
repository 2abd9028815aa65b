"""The queue of a SAXS detector: every image gives its curves once, whatever happens to files, disks and workers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest

from devices.core import DeviceState, Quality
from devices.core.errors import ConfigurationError, NotAllowedError
from devices.drivers.chi_file import read_chi
from devices.pipelines.saxs_integrate import Integrator
from devices.saxs import SaxsDetector
from devices.saxs.results import Attachment
from tests.saxs.beamline import (
    DETECTOR,
    EXPECTED,
    FRAME,
    begin,
    calibration,
    detector,
    fill,
    folder,
    image,
    mask_bytes,
    small_disk,
)
from tests.support.peak import Peak
from tests.support.running import running, until


async def ready(device: SaxsDetector) -> None:
    await until(lambda: device.connected and device.state is not DeviceState.INIT, "the device is connected")


async def watching(device: SaxsDetector, base: Path) -> None:
    """The queue's folder is watched: an image that nobody wants is passed over."""
    await until(lambda: device.control.follower.is_following, "the folder is watched")


def processed(device: SaxsDetector) -> int:
    counts = device.control.queue_counts()
    return -1 if counts is None else counts.processed


def test_images_that_appear_are_written_as_curves_with_their_integral_parameters(tmp_path: Path) -> None:
    base = folder(tmp_path)

    async def run() -> None:
        async with running(detector(base)) as device:
            await ready(device)
            assert (device.state, device.control.queue) == (DeviceState.STANDBY, None)
            await begin(device)
            await watching(device, base)
            image(base / "data" / "a.tif")
            await until(lambda: processed(device) == 1, "the image")
            await until(lambda: device.images_processed.value == 1, "it is published")
            head, columns = read_chi(base / "work" / "a.chi")
            # What is written has 19 digits: it is what was computed, to the last bit.
            for column, expected in zip(columns, (EXPECTED.q, EXPECTED.intensity, EXPECTED.sigma), strict=True):
                np.testing.assert_array_equal(column, expected)
            assert json.loads(head[0]) == calibration()
            width = EXPECTED.q[1] - EXPECTED.q[0]
            band = (EXPECTED.q >= 0.7) & (EXPECTED.q < 2.5)
            total = np.nansum(EXPECTED.intensity[band]) * width
            assert json.loads(head[1])["I0"] == pytest.approx(total, rel=1e-12)
            assert device.i0.value == pytest.approx(total, rel=1e-12)
            second = np.nansum((EXPECTED.intensity * EXPECTED.q**2)[band]) * width
            first = np.nansum((EXPECTED.intensity * EXPECTED.q)[band]) * width
            assert device.correlation_length.value == pytest.approx(first / second, rel=1e-12)
            assert list(device.history_invariant.value) == [device.invariant.value]
            lists = await device.control.file_lists()
            assert lists == {"Radial0": [str(base / "work" / "a.chi")]}
            assert device.control.queue is not None
            await device.control.queue.drained()
            live = (base / "results" / "filelist_data.log").read_text()
            assert live.startswith(f"{base / 'work' / 'a'}, {json.loads(head[1])['I0']!r}, ")

    asyncio.run(run())


def test_the_hdf5_file_has_a_row_for_every_image(tmp_path: Path) -> None:
    base = folder(tmp_path)
    frames = [np.ascontiguousarray(FRAME * factor, dtype=np.int32) for factor in (1, 2, 5)]
    for number, frame in enumerate(frames):
        image(base / "data" / f"n{number}.tif", frame)

    async def run() -> Path:
        async with running(detector(base, outputs="hdf5")) as device:
            await ready(device)
            await begin(device)
            await device.control.read_folder()
            assert device.control.queue is not None
            await device.control.queue.drained()
            assert not list((base / "work").glob("*.chi"))
            found = device.control.results_file
            assert found is not None
            return found

    with h5py.File(asyncio.run(run())) as file:
        entry = file["entry"]
        assert entry["definition"].asstr()[()] == "NXcanSAS"
        names = [os.path.basename(each) for each in entry["file"].asstr()[...]]
        assert sorted(names) == ["n0.tif", "n1.tif", "n2.tif"]
        curves = entry["Radial0"]
        np.testing.assert_array_equal(curves["Q"], EXPECTED.q)
        for name, row in zip(names, curves["I"], strict=True):
            # Integration is linear in the counts; -1 and -2 of gaps and dead pixels are masked.
            np.testing.assert_allclose(row, EXPECTED.intensity * (1, 2, 5)[int(name[1])], rtol=1e-12)
        assert curves["I1"].shape == (3,)
        assert curves["I"].attrs["uncertainties"] == "Idev"


def test_errors_are_by_poisson_or_the_spread_of_pixels(tmp_path: Path) -> None:
    base = folder(tmp_path)
    image(base / "data" / "a.tif")
    expected = Integrator(DETECTOR.geometry, DETECTOR.mask).integrate(FRAME, spread=True)

    async def run() -> None:
        async with running(detector(base, errors="spread")) as device:
            await ready(device)
            await begin(device)
            await device.control.read_folder()
            await until(lambda: processed(device) == 1, "the image")
        np.testing.assert_array_equal(read_chi(base / "work" / "a.chi")[1][2], expected.sigma)

    asyncio.run(run())


def test_images_of_one_name_in_two_folders_have_two_results(tmp_path: Path) -> None:
    base = folder(tmp_path)
    image(base / "data" / "monday" / "a.tif")
    image(base / "data" / "tuesday" / "a.tif", np.ascontiguousarray(FRAME * 3, dtype=np.int32))

    async def run() -> None:
        async with running(detector(base)) as device:
            await ready(device)
            await begin(device)
            await device.control.read_folder()
            await until(lambda: processed(device) == 2, "both")
            results = sorted((base / "data" / "work").glob("*.chi"))
            assert len(results) == 2
            sums = sorted(float(np.nansum(read_chi(each)[1][1])) for each in results)
            assert sums[1] == pytest.approx(3 * sums[0], rel=1e-9)

    asyncio.run(run())


def test_bad_files_are_tried_again_and_then_listed_and_never_stop_the_others(tmp_path: Path) -> None:
    base = folder(tmp_path)
    whole = image(tmp_path / "whole.tif").read_bytes()

    async def run() -> None:
        async with running(detector(base, attempts=3)) as device:
            await ready(device)
            await begin(device)
            await watching(device, base)
            (base / "data" / "half.tif").write_bytes(whole[: len(whole) // 2])
            (base / "data" / "text.tif").write_text("no image at all")
            image(base / "data" / "turned.tif", np.ascontiguousarray(FRAME.T))
            image(base / "data" / "good.tif")
            queue = device.control.queue
            assert queue is not None
            await until(lambda: processed(device) == 1 and queue.failed == 3, "one good, three bad", 10.0)
            await until(lambda: queue.waiting == 0, "nothing waits")
            why = {os.path.basename(path): text for path, text in queue.failures.items()}
            assert why["half.tif"].startswith("ProtocolError")
            assert "not a TIFF, CBF or EDF image" in why["text.tif"]
            assert "80 x 64 px, Geometry.Imagesize says 64 x 80 px" in why["turned.tif"]
            # Completed late, it is an image like any other.
            (base / "data" / "half.tif").write_bytes(whole)
            await until(lambda: processed(device) == 2, "the late one", 10.0)
            assert not [path for path in queue.failures if path.endswith("half.tif")]

    asyncio.run(run())


def test_an_image_that_vanished_is_listed(tmp_path: Path) -> None:
    base = folder(tmp_path)

    async def run() -> None:
        async with running(detector(base, attempts=2)) as device:
            await ready(device)
            await begin(device)
            await device.control.new_file("data/gone.tif")
            queue = device.control.queue
            assert queue is not None
            await until(lambda: queue.failed == 1, "it is given up")
            assert "No such file or directory" in next(iter(queue.failures.values()))

    asyncio.run(run())


def test_a_feeder_speaks_of_the_queues_own_folder_only(tmp_path: Path) -> None:
    base = folder(tmp_path)
    image(base / "data2" / "other.tif")
    image(base / "data" / "mine.tif")

    async def run() -> None:
        async with running(detector(base, watch=False)) as device:
            await ready(device)
            await begin(device)
            for path in ("data2/other.tif", "../escape.tif", "/etc/passwd", "data/notes.txt", "data/mine.tif"):
                await device.control.new_file(path)
            await until(lambda: processed(device) == 1, "its own")
            queue = device.control.queue
            assert queue is not None and not queue.failures
            await until(lambda: queue.waiting == 0, "nothing waits")

    asyncio.run(run())


@pytest.mark.long
def test_a_worker_that_is_killed_costs_no_image(tmp_path: Path) -> None:
    base = folder(tmp_path)
    for number in range(120):
        image(base / "data" / f"{number:03d}.tif")

    async def run() -> None:
        async with running(detector(base, executor="process:2")) as device:
            await ready(device)
            await begin(device)
            await device.control.read_folder()
            await until(lambda: processed(device) > 5, "work has begun", 60.0)
            workers = [each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())]
            assert workers
            workers[0].send_signal(signal.SIGKILL)
            queue = device.control.queue
            assert queue is not None
            await until(lambda: queue.waiting == 0, "all are done", 60.0)
            assert queue.failures == {}
            assert len(list((base / "work").glob("*.chi"))) == 120

    asyncio.run(run())


def test_results_wait_while_the_disk_is_full(tmp_path: Path) -> None:
    base = folder(tmp_path / "base")
    image(base / "data" / "a.tif")
    with small_disk(tmp_path / "disk") as disk:

        async def run(outputs: str) -> None:
            async with running(detector(base, outputs=outputs, output_folder=str(disk / "out"))) as device:
                await ready(device)
                filler = fill(disk)
                await begin(device)
                await device.control.read_folder()
                await until(lambda: "No space left" in device.status, "the status says so", 10.0)
                assert device.state is DeviceState.FAULT
                filler.unlink()
                queue = device.control.queue
                assert queue is not None
                await asyncio.wait_for(queue.drained(), 10.0)
                assert (queue.processed, queue.failures) == (1, {})
                await until(lambda: device.state is DeviceState.ON, "all is well", 10.0)
            suffix = "h5" if outputs == "hdf5" else "chi"
            assert len(list((disk / "out").glob(f"*.{suffix}"))) == 1

        (disk / "out").mkdir()
        asyncio.run(run("chi"))
        asyncio.run(run("hdf5"))


def test_a_restart_goes_on_where_the_server_was(tmp_path: Path) -> None:
    base = folder(tmp_path)
    for number in range(3):
        image(base / "data" / f"{number}.tif")

    async def first() -> float:
        async with running(detector(base)) as device:
            await ready(device)
            await begin(device)
            await device.control.read_folder()
            await until(lambda: processed(device) == 3, "three images")
            counts = device.control.queue_counts()
            assert counts is not None
            return counts.started

    async def second(started: float) -> None:
        async with running(detector(base)) as device:
            await ready(device)
            await until(lambda: processed(device) == 4, "the one that came meanwhile")
            await until(lambda: device.control.queue is not None and device.control.queue.waiting == 0, "nothing waits")
            counts = device.control.queue_counts()
            assert counts is not None and (counts.started, counts.processed) == (started, 4)
            assert len(device.control.integral_series()["R0"].file) == 4
            found = device.control.queue_calibration()
            assert found is not None and found[0] == calibration()
            assert (base / "work" / "0.chi").stat().st_mtime_ns == written

    started = asyncio.run(first())
    written = (base / "work" / "0.chi").stat().st_mtime_ns
    image(base / "data" / "meanwhile.tif")
    asyncio.run(second(started))


def test_a_closed_queue_drains_and_an_aborted_one_is_gone(tmp_path: Path) -> None:
    base = folder(tmp_path)
    for number in range(40):
        image(base / "data" / f"{number}.tif")

    async def run() -> None:
        async with running(detector(base)) as device:
            await ready(device)
            await begin(device)
            await device.control.read_folder()
            await device.run("close_queue")
            await until(lambda: processed(device) == 40, "all that waited")
            await device.control.new_file("data/0.tif")
            assert device.control.queue is not None and device.control.queue.waiting == 0
            await begin(device)
            await device.control.read_folder()
            await device.run("abort_queue")
            assert device.control.queue_counts() is None
            assert [each.name for each in (base / ".runs").iterdir()] == []
            with pytest.raises(NotAllowedError, match="there is no queue"):
                await device.control.read_folder()

    asyncio.run(run())


def test_a_wrong_calibration_leaves_the_queue_as_it_is(tmp_path: Path) -> None:
    base = folder(tmp_path)

    async def run() -> None:
        async with running(detector(base)) as device:
            await ready(device)
            await begin(device)
            before = device.control.queue
            for changes, problem in (
                ({"Wavelength": -1.0}, "Wavelength"),
                ({"Masks": [{"MaskFile": "nowhere.msk"}]}, r"Masks\[0\].MaskFile"),
                ({"Directory": ["..", "elsewhere"]}, "outside the folders that are allowed"),
                ({"Masks": [{"MaskFile": "/etc/passwd"}]}, "outside the folders that are allowed"),
            ):
                with pytest.raises((ConfigurationError, NotAllowedError), match=problem):
                    await begin(device, **changes)
            turned = Attachment("turned.msk", mask_bytes()[:-4])
            with pytest.raises(Exception, match="truncated"):
                await device.control.new_queue(calibration(), [turned])
            assert device.control.queue is before
            assert len(list((base / ".runs").iterdir())) == 1

    asyncio.run(run())


def test_whoever_begins_a_queue_its_calibration_is_shown_and_no_curve_of_the_one_before(tmp_path: Path) -> None:
    base = folder(tmp_path)
    image(base / "data" / "a.tif")
    far = calibration()
    far["Geometry"]["DedectorDistanceMM"] = 1234.5

    async def run() -> None:
        async with running(detector(base)) as device:
            await ready(device)
            await begin(device)
            await device.control.read_folder()
            await until(lambda: device.intensity.quality is Quality.VALID, "a curve")
            # As the leash does it, beside the device's own commands.
            await device.control.new_queue(far, [Attachment("mask.msk", mask_bytes())])
            assert device.distance.value == 1234.5
            assert device.intensity.quality is Quality.INVALID
            counts = device.control.queue_counts()
            assert counts is not None and device.queue_started.value == counts.started

    asyncio.run(run())


def test_several_masks_and_slices_give_a_file_each(tmp_path: Path) -> None:
    base = folder(tmp_path)
    image(base / "data" / "a.tif")
    masks = [
        {"MaskFile": "mask.msk", "qStart": 0.7, "qStop": 2.5},
        {"MaskFile": "", "Phi-mode": True, "qStart": 1.0, "qStop": 1.2},
    ]
    slices = [{"Direction": "y", "Plane": "Vertical", "CutPosition": 40, "CutMargin": 2, "MaskRef": -1}]

    async def run(**changes: Any) -> list[str]:
        shutil.rmtree(base / "work", ignore_errors=True)
        async with running(detector(base)) as device:
            await ready(device)
            await begin(device, Masks=masks, Slices=slices, **changes)
            await device.control.read_folder()
            await until(lambda: processed(device) == 1, "the image")
            await device.run("abort_queue")
        return sorted(each.name for each in (base / "work").glob("*.chi"))

    assert asyncio.run(run()) == ["a.chi", "a_cR1.chi", "a_cS2.chi"]
    head, columns = read_chi(base / "work" / "a_cS2.chi")
    assert head[2] == "Intensity" and columns.shape == (3, DETECTOR.geometry.image_size[0])
    assert asyncio.run(run(GISAXSmode=True)) == ["a_cR1.chi", "a_cS2.chi"]


def test_what_has_a_result_is_passed_over_when_files_are_not_overwritten(tmp_path: Path) -> None:
    base = folder(tmp_path)
    image(base / "data" / "a.tif")
    (base / "work").mkdir()
    (base / "work" / "a.chi").write_text("of yesterday")

    async def run() -> None:
        async with running(detector(base)) as device:
            await ready(device)
            await begin(device, OverwriteFiles=False)
            await device.control.read_folder()
            image(base / "data" / "b.tif")
            await device.control.new_file("data/b.tif")
            await until(lambda: (base / "work" / "b.chi").exists(), "the new one")
            assert (base / "work" / "a.chi").read_text() == "of yesterday"
            assert device.control.queue is not None and device.control.queue.failures == {}

    asyncio.run(run())


@pytest.mark.long
def test_ten_thousand_images_are_integrated_again_in_flat_memory(tmp_path: Path) -> None:
    base = folder(tmp_path)
    first = image(base / "data" / "0" / "first.tif")
    for part in range(10):
        for number in range(1000):
            link = base / "data" / str(part) / f"{part}_{number:04d}.tif"
            link.parent.mkdir(exist_ok=True)
            os.link(first, link)

    async def run() -> None:
        async with running(detector(base, outputs="hdf5", executor="thread:2")) as device:
            await ready(device)
            await begin(device)
            done = await device.run("reintegrate_folder")
            await until(lambda: processed(device) >= 3000, "the first thousands", 60.0)
            peak = Peak()
            await until(lambda: device.operations.status(done)["state"] == "DONE", "all", 100.0)
            assert device.operations.status(done)["result"] == {"images": 10_001, "failed": 0}
            # 7000 curves of 80 bins would be 13 MB in memory; names and parameters of the images are 0.3 kB each.
            assert peak.grown < 60e6, f"{peak.grown} bytes"
            assert device.history_i0.value.shape == (2000,)

    asyncio.run(run())


def test_images_that_are_being_written_are_taken_when_they_are_whole(tmp_path: Path) -> None:
    base = folder(tmp_path)
    whole = image(tmp_path / "whole.tif").read_bytes()

    async def run() -> None:
        async with running(detector(base)) as device:
            await ready(device)
            await begin(device)
            await watching(device, base)
            with (base / "data" / "slow.tif").open("wb") as file:
                for start in range(0, len(whole), len(whole) // 5 + 1):
                    file.write(whole[start : start + len(whole) // 5 + 1])
                    file.flush()
                    await asyncio.sleep(0.15)
            began = time.monotonic()
            await until(lambda: (base / "work" / "slow.chi").exists(), "the image", 10.0)
            np.testing.assert_array_equal(read_chi(base / "work" / "slow.chi")[1][1], EXPECTED.intensity)
            assert time.monotonic() - began < 10.0

    asyncio.run(run())
