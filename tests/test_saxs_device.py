"""The SAXS detector over real files: as the model runs it, and as a plain Tango client sees it."""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tango

from devices.core import DeviceState, Quality
from devices.core.errors import ConfigurationError, NotAllowedError
from devices.drivers.mask_file import encode_fit2d_mask
from devices.pipelines.saxs_integrate import Integrator, Profile
from devices.saxs import SaxsDetector
from devices.simulators import saxs as simulator
from devices.simulators.saxs import SilverBehenate, write_image
from tests.support.running import running, until
from tests.support.serving import Server, serving, wait_until

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "saxs"
FIRST_RING = 2 * math.pi / 5.838  # nm^-1, silver behenate, d = 58.38 Angstrom
DETECTOR = SilverBehenate((256, 320), seed=7)
FRAME = DETECTOR.expose(1.0)


def hold(image: Path | str) -> Path:
    """The file that holds an image up: beside its folder, which may go away."""
    return Path(image).parents[1] / "hold" / Path(image).name


class HeldExecutor(ThreadPoolExecutor):
    """A thread that does not begin with an image as long as its :func:`hold` file is there."""

    def __init__(self) -> None:
        super().__init__(1)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        def held() -> Any:
            deadline = time.monotonic() + 20.0
            images = [job.image for job in args[1]] if len(args) > 1 else []
            while any(os.path.exists(hold(image)) for image in images) and time.monotonic() < deadline:
                time.sleep(0.005)
            return fn(*args, **kwargs)

        return super().submit(held)


@pytest.fixture(scope="module", autouse=True)
def expected() -> Profile:
    """The curve of ``FRAME``; made before anything else, as the first integration on a machine compiles its loops."""
    return Integrator(DETECTOR.geometry, DETECTOR.mask).integrate(FRAME)


def prepare(folder: Path, **changes: Any) -> Path:
    """Write mask and calibration into a folder; ``changes`` replace entries of its Geometry."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mask.msk").write_bytes(encode_fit2d_mask(DETECTOR.mask))
    document: dict[str, Any] = DETECTOR.calibration()
    document["Geometry"] |= changes
    (folder / "calibration.json").write_text(json.dumps(document))
    return folder


def image(path: Path, timestamp: float | None = None) -> Path:
    write_image(path, FRAME, 1.5, time.time() if timestamp is None else timestamp)
    return path


def saxs(folder: Path, **properties: Any) -> SaxsDetector:
    return SaxsDetector("saxs/test/1", {"folder": str(folder), "outputs": "none", **properties})


async def ready(device: SaxsDetector) -> None:
    await until(lambda: device.connected and device.state is not DeviceState.INIT, "the device is connected")


# In the model -----------------------------------------------------------------------------------------------------


def test_images_of_a_running_detector_are_integrated_as_they_appear(tmp_path: Path) -> None:
    async def watch() -> None:
        options = {"folder": str(tmp_path / "images"), "rate_hz": 20, "keep": 1000, "format": "cbf"}
        detector = asyncio.create_task(simulator.run(0, options))
        async with running(saxs(tmp_path / "images")) as device:
            await until(lambda: device.images_processed.value >= 5, "five images", 15.0)
            assert device.q_peak.value == pytest.approx(FIRST_RING, abs=0.004)
            assert device.exposure_time.value == 0.05
            assert device.image.value.shape == (256, 320)
            assert device.attributes["integrate_rate"].value > 1.0
            assert device.images_failed.value == 0
            assert device.state is DeviceState.ON
            assert "watching" in device.status
        detector.cancel()

    asyncio.run(watch())


def test_without_folder_or_calibration_it_is_in_fault_and_recovers_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "later"

    async def appear() -> None:
        async with running(saxs(folder)) as device:
            await until(lambda: device.state is DeviceState.FAULT, "FAULT")
            assert f"the image folder {folder} cannot be read: No such file or directory" in device.status
            with pytest.raises(Exception, match="INVALID"):
                _ = device.intensity.value
            run = await device.run("integrate_file", {"path": "a.tif"})
            await until(lambda: device.operations.status(run)["state"] == "FAILED")
            assert "NotAllowedError: there is no calibration yet" in device.operations.status(run)["error"]
            folder.mkdir()
            await until(lambda: "calibration.json cannot be read" in device.status, "the calibration is missed")
            assert device.state is DeviceState.FAULT
            prepare(folder)
            await until(lambda: device.state is DeviceState.ON, "the device recovers", 6.0)
            image(folder / "a.tif")
            await until(lambda: device.images_processed.value == 1, "the image")

    asyncio.run(appear())


def test_a_folder_that_goes_away_and_comes_back_costs_no_image_and_not_the_last_curve(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "images")

    async def lose() -> None:
        async with running(saxs(folder)) as device:
            await ready(device)
            image(folder / "a.tif")
            await until(lambda: device.images_processed.value == 1, "the first image")
            folder.rename(tmp_path / "unmounted")
            await until(lambda: device.state is DeviceState.FAULT, "FAULT")
            assert device.q_peak.value == pytest.approx(FIRST_RING, abs=0.004)
            image(tmp_path / "unmounted" / "b.tif")
            (tmp_path / "unmounted").rename(folder)
            await until(lambda: device.images_processed.value == 2, "the second image", 6.0)
            assert device.image_path.value == str(folder / "b.tif")
            assert device.distance.value == DETECTOR.geometry.distance_mm
            assert device.intensity.quality is Quality.VALID

    asyncio.run(lose())


def test_a_bad_image_is_tried_again_then_counted_and_never_stops_the_next(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "images")
    whole = image(tmp_path / "whole.tif").read_bytes()

    async def watch() -> None:
        async with running(saxs(folder, attempts=2)) as device:
            await ready(device)
            (folder / "half.tif").write_bytes(whole[: len(whole) // 2])
            await until(lambda: device.images_failed.value == 1, "the truncated image is given up")
            assert "half.tif: ProtocolError" in device.last_failure.value
            image(folder / "good.tif")
            await until(lambda: device.images_processed.value == 1, "the next image")

            (folder / "half.tif").write_bytes(whole)
            await until(lambda: device.images_processed.value == 2, "the image that is completed late")

            write_image(folder / "turned.tif", np.ascontiguousarray(FRAME.T), 1.0, time.time())
            await until(lambda: device.images_failed.value == 2, "the image of another shape")
            assert "the image has 320 x 256 px, Geometry.Imagesize says 256 x 320 px" in device.last_failure.value
            (tmp_path / "secret.tif").write_bytes(whole)
            (folder / "link.tif").symlink_to(tmp_path / "secret.tif")
            await until(lambda: device.images_failed.value == 3, "the link that leads outside")
            assert f"NotAllowedError: {folder}/link.tif leads to {tmp_path}/secret.tif" in device.last_failure.value
            assert device.state is DeviceState.ON
            image(folder / "last.tif")
            await until(lambda: device.images_processed.value == 3, "the last image")
            assert device.images_waiting.value == 0

    asyncio.run(watch())


def test_an_image_that_was_in_work_when_the_folder_was_lost_is_done_afterwards(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "images")
    held = hold(folder / "a.tif")
    held.parent.mkdir()

    async def lose() -> None:
        async with running(saxs(folder, executor="tests.test_saxs_device:HeldExecutor")) as device:
            await ready(device)
            held.touch()
            image(folder / "a.tif")
            await until(lambda: device.executor._work_queue.empty() and device.executor._threads, "it is in work")
            folder.rename(tmp_path / "unmounted")
            await until(lambda: device.state is DeviceState.FAULT, "FAULT")
            (tmp_path / "unmounted").rename(folder)
            held.unlink()
            await until(lambda: device.images_processed.value == 1, "the image", 6.0)
            assert device.images_failed.value == 0

    asyncio.run(lose())


def test_a_curve_never_outlives_its_calibration(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "images")
    far = prepare(tmp_path / "images" / "far", DedectorDistanceMM=2.0 * DETECTOR.geometry.distance_mm)
    held = hold(folder / "b.tif")
    held.parent.mkdir()

    async def change() -> None:
        async with running(saxs(folder, executor="tests.test_saxs_device:HeldExecutor")) as device:
            await ready(device)
            image(folder / "a.tif")
            await until(lambda: device.images_processed.value == 1, "an image")
            last = device.q.value[-1]
            await device.put("calibration_file", "calibration.json")
            assert device.q.value[-1] == last, "the same calibration once more changes nothing"
            held.touch()
            image(folder / "b.tif")
            run = await device.run("integrate_file", {"path": "b.tif"})
            await device.put("calibration_file", str(far / "calibration.json"))
            assert device.intensity.reading.reason == "no image has been integrated with this calibration yet"
            assert device.distance.value == 2.0 * DETECTOR.geometry.distance_mm
            held.unlink()
            await until(lambda: device.operations.status(run)["state"] == "DONE", "the image in work")
            # At twice the distance (small angles) the same radius on the detector is half of q.
            assert device.q_peak.value == pytest.approx(FIRST_RING / 2, rel=0.01)
            assert len(device.q.value) == device.bins.value

    asyncio.run(change())


def test_while_nobody_watches_images_are_passed_over(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "images")

    async def watch() -> None:
        async with running(saxs(folder, watch="no")) as device:
            await until(lambda: device.state is DeviceState.STANDBY, "STANDBY")
            image(folder / "a.tif")
            await until(lambda: device.images_passed_over.value > 0, "it is passed over")
            await device.put("watching", True)
            image(folder / "b.tif")
            await until(lambda: device.images_processed.value == 1, "the image after the switch")
            assert device.image_path.value == str(folder / "b.tif")
            await until(lambda: device.state is DeviceState.ON, "ON")

    asyncio.run(watch())


def test_pixels_that_are_no_whole_counts_are_integrated_and_not_rounded(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "images")
    frame = np.maximum(FRAME, 0).astype(np.float32) * np.float32(0.3)
    expected = Integrator(DETECTOR.geometry, DETECTOR.mask).integrate(frame)

    async def integrate() -> None:
        async with running(saxs(folder, watch="no")) as device:
            await ready(device)
            write_image(folder / "real.edf", frame, 1.0, time.time())  # type: ignore[arg-type]
            run = await device.run("integrate_file", {"path": "real.edf"})
            await until(lambda: device.operations.status(run)["state"] == "DONE")
            np.testing.assert_array_equal(device.intensity.value, expected.intensity)
            assert device.image.quality is Quality.INVALID
            assert "image holds numbers that are not whole" in device.image.reading.reason

    asyncio.run(integrate())


def test_all_wrong_properties_are_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        SaxsDetector("saxs/test/1", {"folder": "images", "allowed_folders": ["/ok", "../x"], "calibration": "c.json"})
    assert refused.value.problems == (
        "folder = 'images': not an absolute path",
        "allowed_folders = '../x': not an absolute path",
        "calibration = 'c.json': not an absolute path",
    )
    with pytest.raises(ConfigurationError, match=r"largest_image.*outside \[1, 32768\]"):
        SaxsDetector("saxs/test/1", {"folder": "/x", "largest_image": ["0", "10"]})
    with pytest.raises(ConfigurationError, match="folder is missing"):
        SaxsDetector("saxs/test/1", {})


def test_a_calibration_of_the_facility_may_lie_anywhere_and_a_client_s_may_not(tmp_path: Path) -> None:
    folder, elsewhere = prepare(tmp_path / "images"), prepare(tmp_path / "etc")
    (folder / "calibration.json").unlink()
    (folder / "sly.json").write_text(
        (elsewhere / "calibration.json").read_text().replace("mask.msk", "../etc/mask.msk")
    )

    async def load() -> None:
        async with running(saxs(folder, calibration=str(elsewhere / "calibration.json"))) as device:
            await ready(device)
            assert device.mask_file.value == str(elsewhere / "mask.msk")
            for path in (elsewhere / "calibration.json", folder / "sly.json"):
                with pytest.raises(NotAllowedError, match=f"{tmp_path}/etc/.*outside the folders that are allowed"):
                    await device.put("calibration_file", str(path))
            assert device.calibration_file.value == str(elsewhere / "calibration.json")
            await device.put("calibration_file", "")

    asyncio.run(load())


# Through Tango ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("saxs") / "images")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """A detector whose folder is not watched, so that each test has its images for itself."""
    properties = {
        "folder": folder,
        "watch": "false",
        "outputs": "none",
        "allowed_folders": f"{folder.parent / 'more'}\n{REAL_DATA}",
        "max_image_bytes": 5_000_000,
        "executor": "tests.test_saxs_device:HeldExecutor",
    }
    device = "devices.saxs:SaxsDetector"
    with serving(device, "saxs/test/1", properties, folder=folder.parent / "server") as running_server:
        proxy = running_server.proxy()
        wait_until(lambda: proxy.state() == tango.DevState.STANDBY, 10.0, "the detector is ready")
        yield running_server


@pytest.fixture
def proxy(server: Server) -> tango.DeviceProxy:
    return server.proxy()


def finished(proxy: tango.DeviceProxy, operation_id: str) -> dict[str, Any]:
    """The status of an operation that has ended."""
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(json.loads(proxy.operation_status(operation_id)))
        return found["state"] in ("DONE", "FAILED", "ABORTED")

    wait_until(ended, 15.0, operation_id)
    return found


@pytest.mark.parametrize("suffix", ["tif", "cbf", "edf"])
def test_integrate_file_gives_the_curve_of_an_image(
    proxy: tango.DeviceProxy, folder: Path, expected: Profile, suffix: str
) -> None:
    path = image(folder / f"agbeh.{suffix}")
    processed = proxy.images_processed
    done = finished(proxy, proxy.integrate_file(str(path)))
    assert done["state"] == "DONE", done["error"]
    np.testing.assert_array_equal(proxy.q, expected.q)
    np.testing.assert_array_equal(proxy.intensity, expected.intensity)
    np.testing.assert_array_equal(proxy.sigma, expected.sigma)
    np.testing.assert_array_equal(proxy.image, FRAME)
    assert proxy.q_peak == pytest.approx(FIRST_RING, abs=0.003)
    assert done["result"] == {"path": str(path), "bins": len(expected.q), "q_peak": proxy.q_peak}
    assert done["message"].startswith(f"agbeh.{suffix}: {len(expected.q)} bins, the strongest ring at q = 1.07")
    assert proxy.image_path == str(path)
    assert proxy.exposure_time == 1.5
    assert proxy.images_processed == processed + 1
    assert 0.0 < proxy.integrate_seconds < 15.0


def test_attributes_have_their_units_and_the_geometry_its_values(proxy: tango.DeviceProxy) -> None:
    units = {"q": "nm^-1", "q_peak": "nm^-1", "exposure_time": "s", "beam_center_x": "px", "distance": "mm"}
    assert {name: proxy.get_attribute_config(name).unit for name in units} == units
    geometry = DETECTOR.geometry
    assert (proxy.beam_center_y, proxy.beam_center_x) == geometry.beam_center
    assert (proxy.distance, proxy.wavelength, proxy.bins) == (geometry.distance_mm, 1.54, geometry.bins)
    config = proxy.get_attribute_config("image")
    assert (config.max_dim_y, config.max_dim_x) == (1043, 981)


def test_a_live_image_bears_its_own_time_and_an_old_one_the_present(proxy: tango.DeviceProxy, folder: Path) -> None:
    begin = time.time()
    finished(proxy, proxy.integrate_file(str(image(folder / "old.tif", timestamp=1.4e9))))
    assert proxy.image_time == 1.4e9
    assert begin <= proxy.read_attribute("intensity").time.totime() <= time.time()
    taken = round(time.time() + 0.01, 3)
    path = image(folder / "live.cbf", timestamp=taken)
    wait_until(lambda: time.time() > taken)
    finished(proxy, proxy.integrate_file(str(path)))
    for name in ("q", "intensity", "sigma", "q_peak", "image", "image_path"):
        assert proxy.read_attribute(name).time.totime() == pytest.approx(taken, abs=2e-6), name
    assert proxy.image_time == pytest.approx(taken, abs=1e-6)


def test_one_at_a_time_and_abort_ends_it(proxy: tango.DeviceProxy, folder: Path) -> None:
    path = image(folder / "slow.tif")
    held = hold(path)
    held.parent.mkdir()
    held.touch()
    processed = proxy.images_processed
    first = proxy.integrate_file(str(path))
    wait_until(lambda: proxy.operation_message == "slow.tif: reading and integrating")
    assert proxy.state() == tango.DevState.RUNNING
    with pytest.raises(tango.DevFailed) as refused:
        proxy.integrate_file(str(path))
    assert refused.value.args[0].reason == "BusyError"
    assert first in refused.value.args[0].desc
    proxy.abort(first)
    assert finished(proxy, first)["state"] == "ABORTED"
    held.unlink()
    assert finished(proxy, proxy.integrate_file(str(path)))["state"] == "DONE"
    assert proxy.images_processed == processed + 1, "the aborted image is not published"


@pytest.fixture(scope="module")
def bad_files(folder: Path) -> Path:
    """Files that cannot be integrated, in the folder; and one outside, to which a link leads."""
    whole = image(folder / "whole.tif").read_bytes()
    (folder / "half.tif").write_bytes(whole[: len(whole) // 2])
    (folder / "text.tif").write_text("no image")
    (folder / "large.tif").write_bytes(whole + bytes(5_000_000))
    (folder / "sub.tif").mkdir()
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.tif").write_bytes(whole)
    (folder / "link.tif").symlink_to(outside / "secret.tif")
    (folder / "linked").symlink_to(outside)
    return folder


@pytest.mark.parametrize(
    ("path", "reason", "text"),
    [
        ("missing.tif", "BadValueError", "missing.tif cannot be read: No such file or directory"),
        ("half.tif", "ProtocolError", "half.tif: not a readable TIFF image"),
        ("text.tif", "ProtocolError", "text.tif: not a TIFF, CBF or EDF image"),
        ("large.tif", "BadValueError", "more than 5000000 bytes"),
        ("sub.tif", "BadValueError", "sub.tif is not a plain file"),
        ("", "BadValueError", "is not a plain file"),
        ("a" * 300, "BadValueError", "File name too long"),
        ("/etc/passwd", "NotAllowedError", "/etc/passwd is outside the folders that are allowed here: "),
        ("../outside/secret.tif", "NotAllowedError", "../outside/secret.tif leads to "),
        ("link.tif", "NotAllowedError", "link.tif leads to "),
        ("linked/secret.tif", "NotAllowedError", "outside/secret.tif, outside the folders that are allowed here: "),
    ],
)
def test_a_bad_path_fails_with_its_reason_and_changes_nothing(
    proxy: tango.DeviceProxy, bad_files: Path, path: str, reason: str, text: str
) -> None:
    processed = proxy.images_processed
    done = finished(proxy, proxy.integrate_file(path))
    assert done["state"] == "FAILED"
    assert done["error"].startswith(f"{reason}: ")
    assert text in done["error"]
    assert proxy.images_processed == processed
    assert proxy.state() == tango.DevState.STANDBY


def test_a_long_path_in_an_allowed_folder_is_integrated(proxy: tango.DeviceProxy, folder: Path) -> None:
    deep = folder.parent / "more" / ("run " * 20) / "täglich"
    deep.mkdir(parents=True)
    path = image(deep / f"{'x' * 120}.tif")
    assert len(str(path)) > 200
    assert finished(proxy, proxy.integrate_file(str(path)))["state"] == "DONE"
    assert proxy.image_path == str(path)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("missing.json", None, "missing.json cannot be read: No such file or directory"),
        ("broken.json", "{", "not JSON"),
        (
            "keys.json",
            '{"Geometry": {"BeamCenter": [1, 2]}}',
            "Wavelength: missing; Geometry.DedectorDistanceMM: missing",
        ),
        (
            "size.json",
            '{"Geometry": {"BeamCenter": [1, 2], "DedectorDistanceMM": 9, "Imagesize": [256, 321]}, "Wavelength": 1.5,'
            ' "Masks": [{"MaskFile": "mask.msk"}]}',
            "Masks[0].MaskFile: ",
        ),
        (
            "bins.json",
            '{"Geometry": {"BeamCenter": [1, 2], "DedectorDistanceMM": 9}, "Wavelength": 1.5,'
            ' "Masks": [{"PixelPerRadialElement": 0.05}]}',
            "Masks[0].PixelPerRadialElement: 0.05 px gives ",
        ),
    ],
)
def test_a_wrong_calibration_is_refused_with_its_key_and_the_present_one_stays(
    proxy: tango.DeviceProxy, folder: Path, name: str, content: str | None, text: str
) -> None:
    if content is not None:
        (folder / name).write_text(content)
    before = proxy.read_attribute("calibration_file")
    with pytest.raises(tango.DevFailed) as refused:
        proxy.calibration_file = str(folder / name)
    assert refused.value.args[0].reason == "ConfigurationError"
    assert name in refused.value.args[0].desc
    assert text in refused.value.args[0].desc
    after = proxy.read_attribute("calibration_file")
    assert (after.value, after.w_value) == (before.value, before.w_value)
    assert proxy.distance == DETECTOR.geometry.distance_mm
    assert proxy.state() == tango.DevState.STANDBY


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"the real frames are not at {REAL_DATA}")
def test_the_first_ring_of_a_real_silver_behenate_frame_is_found(proxy: tango.DeviceProxy, folder: Path) -> None:
    document = {
        "Geometry": {"BeamCenter": [805.087, 422.371], "DedectorDistanceMM": 835.593},
        "Wavelength": 1.54,
        "Masks": [{"MaskFile": str(REAL_DATA / "AAA_integ.msk")}],
    }
    (folder / "real.json").write_text(json.dumps(document))
    proxy.calibration_file = "real.json"
    try:
        done = finished(proxy, proxy.integrate_file(str(REAL_DATA / "agbeh2_1M.tif")))
        assert done["state"] == "DONE", done["error"]
        assert proxy.q_peak == pytest.approx(1.076, abs=0.003)
        assert proxy.image.shape == (1043, 981)
        assert proxy.exposure_time == 10.0
        assert len(proxy.intensity) == proxy.bins
    finally:
        proxy.calibration_file = ""
    assert proxy.calibration_file == str(folder / "calibration.json")


@pytest.mark.long
def test_a_restart_keeps_the_calibration_and_the_switch_of_the_client(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "images")
    prepare(folder / "far", DedectorDistanceMM=1000.0)
    image(folder / "a.tif")
    properties = {"folder": folder, "outputs": "none", "executor": "process"}
    device = "devices.saxs:SaxsDetector"
    with serving(device, "saxs/test/1", properties, folder=tmp_path / "server") as server:
        proxy = server.proxy()
        wait_until(lambda: proxy.images_processed == 1, 20.0, "the newest image, in another process")
        assert proxy.q_peak == pytest.approx(FIRST_RING, abs=0.003)
        np.testing.assert_array_equal(proxy.image, FRAME)
        done = finished(proxy, proxy.integrate_file("missing.tif"))
        assert done["error"].startswith("BadValueError: "), "an error keeps its class over the process boundary"
        proxy.calibration_file = "far/calibration.json"
        proxy.watching = False
    with serving(device, "saxs/test/1", properties, folder=tmp_path / "server") as server:
        proxy = server.proxy()
        wait_until(lambda: proxy.state() == tango.DevState.STANDBY, 10.0, "it does not watch")
        assert proxy.calibration_file == str(folder / "far" / "calibration.json")
        assert proxy.distance == 1000.0
        assert proxy.read_attribute("calibration_file").w_value == "far/calibration.json"
        image(folder / "b.tif")
        wait_until(lambda: proxy.images_passed_over > 0, 5.0, "an image that is passed over")
        assert proxy.images_processed == 0
        assert "memorized" not in proxy.status()
