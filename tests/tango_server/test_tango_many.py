"""Several classes and several devices in one server, started as a user starts one instrument alone."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tango

from tests.support.serving import ROOT, wait_for_server, wait_until

FACILITY = {
    "servers": {
        "Diptych": {
            "many": {
                "Everything": {
                    "many/everything/1": {"properties": {"channels": ["1"]}},
                    "many/everything/2": {"properties": {"channels": ["3"]}},
                    "many/everything/3": {"properties": {"channels": ["2"]}},
                },
                "Stress": {"many/stress/1": {"properties": {}}},
                "Crowd": {"many/crowd/1": {"properties": {}}, "many/crowd/2": {"properties": {}}},
            }
        }
    }
}
CLASSES = """
classes:
  Everything: tests.support.everything:Everything
  Stress: tests.support.stress:Stress
  Crowd: tests.support.crowd:Crowd
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The TCP port of ``diptych serve many --file``."""
    folder: Path = tmp_path_factory.mktemp("many")
    path = folder / "many.json"
    path.write_text(json.dumps(FACILITY))
    output = folder / "output"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = int(probe.getsockname()[1])
    path.with_suffix(".facility.yaml").write_text(f"{CLASSES}ports: {{tango: {free}}}\n")
    words = ["serve", "many", "--file", str(path), "--state-dir", str(folder / "state")]
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "servers.main", *words], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_for_server(process, output)
        yield free
        process.send_signal(signal.SIGTERM)
        assert process.wait(10.0) == 0, output.read_text()
    finally:
        if process.poll() is None:
            process.kill()


def proxy(port: int, device: str) -> tango.DeviceProxy:
    return tango.DeviceProxy(f"tango://127.0.0.1:{port}/{device}#dbase=no")


def test_each_device_has_the_parts_of_its_own_properties(port: int) -> None:
    for number, channels in ((1, "a"), (2, "abc"), (3, "ab")):
        names = proxy(port, f"many/everything/{number}").get_attribute_list()
        assert sorted(name for name in names if name.startswith("level_")) == [f"level_{key}" for key in channels]


def test_devices_of_one_class_do_not_share_values(port: int) -> None:
    first, second = proxy(port, "many/everything/1"), proxy(port, "many/everything/2")
    first.write_attribute("a_float64", 1.5)
    second.write_attribute("a_float64", -2.5)
    assert (first.a_float64, second.a_float64) == (1.5, -2.5)


def test_an_operation_of_one_device_leaves_the_others_alone(port: int) -> None:
    first, second = proxy(port, "many/everything/1"), proxy(port, "many/everything/2")
    first.expose(60.0)
    wait_until(lambda: first.state() == tango.DevState.RUNNING, 10.0)
    assert second.state() == tango.DevState.ON
    second.expose(0.05)
    first.abort("")
    wait_until(lambda: first.state() == tango.DevState.ON, 10.0)


def test_classes_side_by_side_serve_what_is_theirs(port: int) -> None:
    stress = proxy(port, "many/stress/1")
    assert stress.info().dev_class == "Stress"
    stress.publish_all(0.3)
    wait_until(lambda: (stress.published or 0) > 10, 10.0)
    assert proxy(port, "many/everything/3").info().dev_class == "Everything"


def test_images_of_one_device_and_numbers_of_another_do_not_stop_the_server(port: int) -> None:
    devices = [proxy(port, f"many/crowd/{number}") for number in (1, 2)]
    seen = [0, 0]

    def count(index: int) -> None:
        seen[index] += 1

    for index, device in enumerate(devices):
        device.subscribe_event("image", tango.EventType.CHANGE_EVENT, lambda event: None)
        device.subscribe_event("number", tango.EventType.CHANGE_EVENT, lambda event, index=index: count(index))
    for device in devices:
        device.publish_all(4.0)
    for index, device in enumerate(devices):
        wait_until(lambda device=device: device.operation == "", 15.0, "it still answers, and has published all")
        assert seen[index] > 100, "with events all the time"
