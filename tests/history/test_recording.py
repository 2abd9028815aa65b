"""Recording from a real mirror: every kind of number, severities, and what comes and goes."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from servers.epics.mirror import Mirror
from servers.history.archive_list import ArchiveList, Rule
from servers.history.store import INVALID, NANOSECONDS, Facts
from tests.epics.camera import camera_server
from tests.epics.mirroring import TangoServer, config_for, config_of, free_port, mirror, tango_server, until
from tests.epics.tango_devices import MANY, MODES
from tests.facility.running import wait_for
from tests.history.recording import Recording, list_of

KINDS = {
    "PLAIN1:Switch": 1.0,
    "PLAIN1:Small": 200.0,
    "PLAIN1:Short": -12345.0,
    "PLAIN1:Ushort": 54321.0,
    "PLAIN1:Integer": -2e9,
    "PLAIN1:Uinteger": 4e9,
    "PLAIN1:Large": -(2.0**62),  # 1 less; the history has 53 bits of it
    "PLAIN1:Ularge": 2.0**63,
    "PLAIN1:Single": 0.5,
    "PLAIN1:Temperature": 77.25,
    "PLAIN1:Setpoint_RBV": 80.0,
    "PLAIN1:Mode_RBV": 1.0,
    "PLAIN1:Wheel_RBV": 3.0,
    "PLAIN1:State": 7.0,
}


@pytest.fixture(scope="module")
def server() -> Iterator[TangoServer]:
    with tango_server() as running:
        yield running


@pytest.fixture(scope="module")
def mirrored(server: TangoServer) -> Iterator[Mirror]:
    with mirror(config_for(server)) as running:
        yield running


def test_each_kind_of_number_is_recorded_with_its_unit_and_all_its_labels(mirrored: Mirror) -> None:
    served = list_of(mirrored)
    began_ns = time.time_ns()
    with Recording(mirrored.ca.port) as recording:
        recording.follow(served)
        numbers = {each.name for each in served if each.is_archived}
        assert set(KINDS) <= numbers == set(recording.recorder.names)
        assert not {"PLAIN1:Name", "PLAIN1:Curve", "PLAIN1:Note"} & numbers, "texts and arrays are not recorded"
        wait_for(lambda: all(recording.of(name) for name in numbers), 20.0, "a value of each")
        first = {name: recording.of(name)[0] for name in KINDS}
        assert {name: sample.value for name, sample in first.items()} == KINDS
        assert all(sample.severity == 0 and sample.is_connected for sample in first.values())
        assert all(began_ns < sample.time_ns < time.time_ns() for sample in first.values()), "known from now on"
        assert recording.of("PLAIN1:Broken")[0].severity == INVALID
    assert recording.facts["PLAIN1:Temperature"] == Facts(
        "float64", "K", (), server_name(mirrored, "PLAIN1:Temperature"), "temperature"
    )
    assert recording.facts["PLAIN1:Mode_RBV"].labels == tuple(MODES)
    assert recording.facts["PLAIN1:Wheel_RBV"].labels == tuple(MANY), "more than Channel Access can have"
    assert recording.facts["PLAIN1:State"].labels[7] == "STANDBY"
    assert not recording.samples[-1].is_connected, "the end of the recorder is a gap"


def server_name(mirrored: Mirror, pv: str) -> str:
    return next(each.device for each in list_of(mirrored) if each.name == pv)


def test_a_severity_comes_with_the_time_of_the_hardware_and_nan_is_a_value(
    server: TangoServer, mirrored: Mirror
) -> None:
    plain = server.proxy(server.plain)
    with Recording(mirrored.ca.port) as recording:
        recording.follow(list_of(mirrored))
        first = recording.until("PLAIN1:Temperature", lambda newest: newest.value == 77.25, "the first value")
        later = max(time.time(), first.time_ns / NANOSECONDS) + 5.0
        plain.Publish(f'{{"value": 320.5, "quality": "WARNING", "time": {later}}}')
        minor = recording.until("PLAIN1:Temperature", lambda newest: newest.value == 320.5, "a warning")
        assert (minor.severity, minor.is_connected) == (1, True)
        assert abs(minor.time_ns / NANOSECONDS - later) < 1e-6
        plain.Publish(f'{{"value": 360.0, "quality": "ALARM", "time": {later + 1}}}')
        assert recording.until("PLAIN1:Temperature", lambda newest: newest.value == 360.0, "an alarm").severity == 2
        plain.Publish(f'{{"value": NaN, "quality": "VALID", "time": {later + 2}}}')
        gone = recording.until("PLAIN1:Temperature", lambda newest: math.isnan(newest.value), "not a number")
        assert (gone.severity, gone.is_connected) == (0, True)
        plain.Publish('{"value": 77.25, "quality": "INVALID"}')
        invalid = recording.until("PLAIN1:Temperature", lambda newest: newest.severity == INVALID, "an invalid one")
        assert invalid.is_connected, "the device was there, and said so"
        plain.Publish('{"value": 77.25}')
        recording.until("PLAIN1:Temperature", lambda newest: newest.severity == 0, "a good one")


def test_a_device_that_is_lost_is_a_gap_until_it_is_back() -> None:
    with tango_server() as server, mirror(config_for(server)) as mirrored, Recording(mirrored.ca.port) as recording:
        recording.follow(list_of(mirrored))
        recording.until("PLAIN1:Setpoint_RBV", lambda newest: newest.value == 80.0, "the first value")
        killed_ns = time.time_ns()
        server.kill()
        lost = recording.until("PLAIN1:Setpoint_RBV", lambda newest: not newest.is_connected, "a gap")
        assert (lost.severity, lost.value) == (INVALID, 80.0)
        assert lost.time_ns > killed_ns
        server.start()
        back = recording.until("PLAIN1:Setpoint_RBV", lambda newest: newest.is_connected, "the device again")
        assert back.time_ns > lost.time_ns


def test_a_mirror_that_is_ended_and_started_again_is_followed(
    server: TangoServer, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(server, ca_port=free_port())
    with caplog.at_level(logging.INFO, "servers.history"), Recording(config.ca_port) as recording:
        with mirror(config) as running:
            served = list_of(running)
            recording.follow(served)
            for name in KINDS:
                recording.until(name, lambda newest: newest.is_connected, "a value")
        for name in KINDS:
            recording.until(name, lambda newest: not newest.is_connected, "the end of the mirror")
        with mirror(config):
            for name in KINDS:
                recording.until(name, lambda newest: newest.is_connected, "a value again")
        lines = [record.message for record in caplog.records if record.name.startswith("servers.history")]
    assert len([line for line in lines if "tried again until it answers" in line]) == 1, lines
    assert len([line for line in lines if "connected again" in line]) == 1, lines


def test_pvs_that_go_and_come_while_the_mirror_runs_are_followed(server: TangoServer) -> None:
    config = config_for(server)
    with mirror(config) as running, Recording(running.ca.port) as recording:
        served = list_of(running)
        recording.follow(served)
        for name in ("PLAIN1:Setpoint", "SAXS9:AmpGain"):
            recording.until(name, lambda newest: newest.is_connected, "a value")
        running.reload(replace(config, devices=config.devices[1:]))
        recording.until("PLAIN1:Setpoint", lambda newest: not newest.is_connected, "the end of the PV")
        running.reload(config)
        recording.until("PLAIN1:Setpoint", lambda newest: newest.is_connected, "the PV again")
        left = [each for each in served if each.name != "PLAIN1:Setpoint"]
        recording.follow(left)
        assert not recording.of("PLAIN1:Setpoint")[-1].is_connected
        number = len(recording.of("PLAIN1:Setpoint"))
        server.proxy(server.plain).write_attribute("setpoint", 81.0)
        recording.until("PLAIN1:Setpoint_RBV", lambda newest: newest.value == 81.0, "the read-back")
        assert len(recording.of("PLAIN1:Setpoint")) == number, "what is not wanted does not come"
        recording.follow(served)
        recording.until("PLAIN1:Setpoint", lambda newest: newest.is_connected, "wanted again")
        server.proxy(server.plain).write_attribute("setpoint", 80.0)


@pytest.mark.long
def test_the_size_of_an_image_comes_from_the_process_that_serves_it() -> None:
    with camera_server() as camera, mirror(config_of((camera.mirrored,), image_process=True)) as running:
        until(lambda: "CAM:Large" in running.images.report.served, "the process for images", 30.0)
        with Recording(running.ca.port) as recording:
            recording.follow(list_of(running))
            recording.until("CAM:Large:Width", lambda newest: newest.is_connected, "a value")
            camera.publish("large", 300, 200)
            assert recording.until("CAM:Large:Width", lambda newest: newest.value == 200.0, "the columns").severity == 0
            recording.until("CAM:Large:Height", lambda newest: newest.value == 300.0, "the rows")
            process = running.images._process
            assert process is not None
            process.kill()
            recording.until("CAM:Large:Width", lambda newest: not newest.is_connected, "the end of the process")
            recording.until("CAM:Large:Width", lambda newest: newest.is_connected, "the next one", 60.0)
            assert recording.of("CAM:Temperature")[-1].is_connected


def test_the_archive_list_says_what_is_followed(mirrored: Mirror) -> None:
    archive = ArchiveList((Rule(tango="*/setpoint", is_off=True), Rule(pv="PLAIN1:Temp*", every_s=0.0, keep_s=60.0)))
    with Recording(mirrored.ca.port, archive) as recording:
        recording.recorder.follow(list_of(mirrored))
        assert not {"PLAIN1:Setpoint", "PLAIN1:Setpoint_RBV"} & set(recording.recorder.names)
        facts, keep_s = recording.recorder.described()
        assert set(facts) == set(recording.recorder.names)
        assert keep_s == {"PLAIN1:Temperature": 60.0}
        renamed = [
            replace(each, unit="mK") if each.name == "PLAIN1:Temperature" else each for each in list_of(mirrored)
        ]
        recording.recorder.follow(renamed)
        facts, _ = recording.recorder.described()
        assert {name: each.unit for name, each in facts.items()} == {"PLAIN1:Temperature": "mK"}
