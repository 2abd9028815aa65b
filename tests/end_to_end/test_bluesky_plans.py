"""Plans over all instruments: the blocks of docs/sequencers-bluesky.md on the demo, and what aborts and kills leave."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tango

from tests.facility.running import wait_for
from tests.support.demo_facility import Facility
from tests.support.serving import ROOT
from tests.support.session import Session, blocks, make_files

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
for module in ("bluesky", "ophyd_async", "ophyd"):
    pytest.importorskip(module, reason=f"{module} is not installed")

PAGE = ROOT / "docs" / "sequencers-bluesky.md"


@pytest.fixture(scope="module")
def session(facility: Facility, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("plans")
    first = blocks(PAGE, "The session")
    make_files(facility, first["sh"], folder)
    session = Session(facility, folder)
    session.run(first["python"])
    yield session
    session.close()


def python(title: str) -> str:
    return blocks(PAGE, title)["python"]


def device(facility: Facility, name: str) -> tango.DeviceProxy:
    return tango.DeviceProxy(f"tango://{facility.environment['TANGO_HOST']}/{name}")


def events(documents: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [document for name, document in documents if name == "event"]


def test_each_point_of_a_series_is_one_new_image_with_its_own_curve(facility: Facility, session: Session) -> None:
    found = events(session.run(python("A series of SAXS images")))
    assert len(found) == 3
    data = [event["data"] for event in found]
    numbers = [each["saxs1-images_processed"] for each in data]
    assert all(after >= before + 1 for before, after in itertools.pairwise(numbers)), numbers
    assert len({each["saxs1-image_path"] for each in data}) == 3
    together = ["saxs1-images_processed", "saxs1-image_path", "saxs1-q", "saxs1-intensity", "saxs1-sigma"]
    assert all(len({event["timestamps"][key] for key in together}) == 1 for event in found)
    # The noise of each image is its own: the same file integrated again has the very curve.
    saxs = device(facility, "saxs/detector/1")

    def again() -> np.ndarray[Any, Any] | None:
        number = saxs.integrate_file(data[-1]["saxs1-image_path"])
        wait_for(lambda: '"DONE"' in saxs.operation_status(number), 20.0, "the image is integrated")
        curve = saxs.intensity  # the detector goes on: another image may have come since
        return curve if saxs.image_path == data[-1]["saxs1-image_path"] else None

    curve = None
    while curve is None:
        curve = again()
    np.testing.assert_array_equal(data[-1]["saxs1-intensity"], curve)
    assert not np.array_equal(data[0]["saxs1-intensity"], curve, equal_nan=True)
    seen = np.isfinite(curve) & (data[-1]["saxs1-sigma"] > 0)
    assert np.count_nonzero(seen) > 100 and data[-1]["saxs1-q"].shape == curve.shape


@pytest.fixture
def frames(facility: Facility) -> Iterator[tango.DeviceProxy]:
    """The DAQ node, which takes frames again when a test has ended."""
    daq = device(facility, "daq/node/1")
    yield daq
    daq.initialise('{"simulate": true, "force": true}')


def test_a_run_of_the_daq_node_has_rates_and_is_halted_however_it_ends(
    session: Session, frames: tango.DeviceProxy
) -> None:
    data = [event["data"] for event in events(session.run(python("A run of the DAQ node")))]
    counts = [each["daq1-frames"] for each in data]
    assert len(counts) == 3 and counts == sorted(set(counts))
    assert data[-1]["daq1-movie_rate"] > 0.0  # frames per second; 0 in the first second
    wait_for(lambda: frames.state() == tango.DevState.STANDBY, 15.0, "the node takes no frames")
    documents = session.aborted("engine(daq_run(1000))", "event")
    assert documents[-1][1]["exit_status"] == "abort"
    assert 0 < len(events(documents)) < 1000
    wait_for(lambda: frames.state() == tango.DevState.STANDBY, 15.0, "the node takes no frames")


def test_the_next_trigger_has_significance_dispersion_and_position(facility: Facility, session: Session) -> None:
    """The simulated nodes see a pulse every 30 s of 12 to 40 sigma, up to 1000 pc/cm3."""
    (event,) = events(session.run(python("The next trigger of the correlator"), 150.0))
    found = {key.removeprefix("corr1-trigger_"): value for key, value in event["data"].items()}
    assert re.fullmatch(r"\d{6}[a-z]{4}", found["name"])
    assert 8.0 <= found["snr"] < 60.0 and 0.0 <= found["dm"] < 1500.0 and found["width"] > 0.0
    assert 0 <= found["y"] < 64 and 0 <= found["x"] < 64
    assert 0.0 <= found["ra"] < 360.0 and abs(found["dec"] - 71.6) < 5.0
    assert abs(event["time"] - found["time"]) < 120.0  # of the arrival, s
    assert len({stamp for key, stamp in event["timestamps"].items() if "trigger_" in key}) == 1
    corr = device(facility, "corr/server/1")
    corr.halt(False)
    try:
        wait_for(lambda: not corr.searching, 20.0, "nothing is searched")
        documents = session.failed("corr1.trigger_seconds = 1.0\nengine(bp.count([corr1]))")
    finally:
        corr.begin()
    assert documents[-1][1]["exit_status"] == "fail"
    assert "corr1-trigger_name: nothing new within 1 s" in documents[-1][1]["reason"]


@pytest.fixture
def cryostat(facility: Facility) -> Iterator[tango.DeviceProxy]:
    """The cryostat, whose bounds are afterwards what they were."""
    cryo = device(facility, "cryo/cryocon/1")
    before = cryo.get_attribute_config("temperature_a")
    yield cryo
    cryo.set_attribute_config(before)


def bound(cryo: tango.DeviceProxy, kelvin: str) -> None:
    found = cryo.get_attribute_config("temperature_a")
    found.alarms.max_alarm = kelvin
    cryo.set_attribute_config(found)


def test_a_plan_pauses_while_a_temperature_is_out_of_its_bounds(
    facility: Facility, session: Session, cryostat: tango.DeviceProxy
) -> None:
    saxs = device(facility, "saxs/detector/1")
    session.begin(python("Pause while there is an alarm"))
    wait_for(lambda: session.heard("event"), 60.0, "the first image")
    bound(cryostat, "4.0")
    # One that is under way may still come; then images go by without an event.
    number = saxs.images_processed
    wait_for(lambda: saxs.images_processed >= number + 2, 30.0, "images go on")
    taken = session.heard("event")
    wait_for(lambda: saxs.images_processed >= number + 5, 30.0, "images go on")
    assert session.heard("event") == taken < 6 and not session.heard("stop")
    bound(cryostat, "Not specified")
    documents = session.end()
    assert len(events(documents)) == 6 and documents[-1][1]["exit_status"] == "success"


@pytest.mark.long
def test_a_camera_whose_server_is_killed_fails_the_run_and_says_why(facility: Facility, session: Session) -> None:
    ccd = device(facility, "ccd/1/exposure")
    session.begin(
        "ccd1.expose_arguments = {'seconds': 60.0, 'image_type': 'dark', 'title': ''}\n"
        "try:\n    engine(bp.count([ccd1]))\nexcept Exception as error:\n    print(repr(error))\n"
    )
    wait_for(lambda: ccd.read_attribute("operation").value == "expose", 30.0, "it exposes")
    facility.child("serve", "ccd").kill()
    documents = session.end(90.0)
    assert documents[-1][1]["exit_status"] == "fail"
    # Before it is there again, or afterwards: which of the two comes first is not for the plan to say.
    assert re.search("no answer from .*/ccd/1/exposure|lost in restart", documents[-1][1]["reason"]), documents[-1][1]
    wait_for(lambda: is_idle(ccd), 60.0, "the camera is there again")


def is_idle(ccd: tango.DeviceProxy) -> bool:
    try:
        return not ccd.read_attribute("operation").value
    except tango.DevFailed:  # its server is not there yet
        return False


@pytest.mark.long
def test_a_move_whose_server_hangs_fails_within_seconds(facility: Facility, session: Session) -> None:
    server, audit = facility.child("serve", "cryocon"), facility.state_dir / "log" / "audit.jsonl"
    writes = len(audit.read_text().splitlines())
    session.begin(
        "import cryo\ncryo.LOST_SECONDS = 3.0\n"
        "try:\n    engine(bp.list_scan([], cryo1.temperature, [250.0]))\nexcept Exception as error:\n    pass\n"
    )
    try:
        wait_for(lambda: session.heard("start"), 30.0, "the plan has begun")
        wait_for(lambda: len(audit.read_text().splitlines()) > writes, 30.0, "the set point is written")
        server.suspend()
        documents = session.end(90.0)
    finally:
        server.resume()
    assert documents[-1][1]["exit_status"] == "fail"
    assert "cryo1-temperature has been INVALID for 3 s" in documents[-1][1]["reason"]
    assert device(facility, "cryo/cryocon/1").ping() > 0
