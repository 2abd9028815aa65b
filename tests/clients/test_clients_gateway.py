"""p4p's PVAccess gateway ``pvagw`` before the mirror, with the configuration that the documentation shows."""

from __future__ import annotations

import getpass
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.clients.bench import Bench
from tests.clients.process import ClientError, ClientProcess
from tests.facility.running import CHECKOUT, wait_for
from tests.support.demo_facility import free_offset

pytest.importorskip("p4p", reason="p4p is not installed")

FILES = ("pvagw.conf", "pvagw.acf", "pvagw.pvlist")
kept: list[Any] = []  # in the client's process
heard: list[Any] = []


def _documented(name: str) -> str:
    """A file of the gateway as docs/epics-clients.md shows it."""
    page = (CHECKOUT / "docs" / "epics-clients.md").read_text()
    found = re.search(rf"^`{re.escape(name)}`:\n\n```\w*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found, f"docs/epics-clients.md shows no {name}"
    return found[1]


def _context() -> Any:
    from p4p.client.thread import Context

    if not kept:
        kept.append(Context("pva"))
    return kept[0]


def _value(name: str) -> Any:
    return _context().get(name, timeout=10.0).raw.value


def _image(name: str) -> Any:
    return np.array(_context().get(name, timeout=10.0))


def _put(name: str, value: Any) -> float:
    began = time.monotonic()
    _context().put(name, value, wait=True, timeout=15.0)
    return time.monotonic() - began


def _monitor(name: str) -> None:
    kept.append(_context().monitor(name, lambda value: heard.append((float(value), value.severity))))


def _heard() -> list[Any]:
    return list(heard)


@pytest.fixture(scope="module")
def gateway(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client of the gateway."""
    folder = tmp_path_factory.mktemp("gateway")
    program = shutil.which("pvagw", path=bench.environment["PATH"])
    assert program is not None
    offset = free_offset()
    port, broadcast = 5075 + offset, 5076 + offset
    mirror = bench.environment
    texts = {name: _documented(name) for name in FILES}
    written = {
        "192.0.2.10:5075 192.0.2.10:5077": mirror[
            "EPICS_PVA_NAME_SERVERS"
        ],  # the mirror's host, as the documentation has it
        "192.0.2.10": "127.0.0.1",
        "10.1.2.1": "127.0.0.1",  # the gateway's own, on the other network
        '"bcastport": 5076': f'"bcastport": {mirror["EPICS_PVA_BROADCAST_PORT"]}',
    }
    configuration = texts["pvagw.conf"]
    for documented, here in written.items():
        assert documented in configuration
        configuration = configuration.replace(documented, here)
    parsed = json.loads(configuration)
    parsed["servers"][0] |= {"serverport": port, "bcastport": broadcast, "addrlist": "127.0.0.1"}
    (folder / "pvagw.conf").write_text(json.dumps(parsed))
    (folder / "pvagw.acf").write_text(texts["pvagw.acf"].replace("anna", getpass.getuser()))
    (folder / "pvagw.pvlist").write_text(
        texts["pvagw.pvlist"].replace("CRYO1:Setpoint1", "SPEC1:(?:Temperature|Expose|Stick)")
    )
    clean = {name: value for name, value in mirror.items() if not name.startswith("EPICS_")}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "pvagw.conf"], cwd=folder, env=clean, stdout=output, stderr=subprocess.STDOUT
        )  # fmt: skip
    try:
        wait_for(lambda: process.poll() is not None or "Setup GW clients" in log.read_text(), 20.0, log.read_text())
        assert process.poll() is None, log.read_text()
        yield clean | {
            "EPICS_PVA_ADDR_LIST": "127.0.0.1",
            "EPICS_PVA_AUTO_ADDR_LIST": "NO",
            "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{port}",
            "EPICS_PVA_BROADCAST_PORT": str(broadcast),
        }
    finally:
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def client(gateway: dict[str, str]) -> Iterator[ClientProcess]:
    process = ClientProcess(gateway)
    yield process
    process.close()


def test_values_and_images_come_through(bench: Bench, client: ClientProcess) -> None:
    bench.publish("fast", 1.25)
    wait_for(lambda: client(_value, "SPEC1:Fast") == 1.25, 10.0, "the value")
    frame = client(_image, "SPEC1:Frame")
    assert (frame.shape, frame.dtype) == ((3, 5), np.uint16)
    assert client(_value, "SPEC1:Notes") == bench.device.read_attribute("notes").value


def test_puts_come_through_with_their_completion_and_their_refusal(client: ClientProcess) -> None:
    client(_put, "SPEC1:Temperature", 97.5)
    assert client(_value, "SPEC1:Temperature") == 97.5
    assert 0.4 <= client(_put, "SPEC1:Expose", 0.4) < 5.0
    with pytest.raises(ClientError, match=r"RangeError: SPEC1:Temperature = 401\.0 K is outside"):
        client(_put, "SPEC1:Temperature", 401.0)
    with pytest.raises(ClientError, match=r"the shutter is stuck after 0\.2 s"):
        client(_put, "SPEC1:Stick", 0.2)


def test_what_the_gateway_s_own_rules_do_not_name_is_not_written(bench: Bench, client: ClientProcess) -> None:
    """The mirror sees the gateway as its client, so who may write through it is for the gateway to say."""
    with pytest.raises(ClientError, match="Put permission denied by gateway"):
        client(_put, "SPEC1:Counts", 5)
    client(_put, "SPEC1:Temperature", 96.5)
    lines = [json.loads(line) for line in (bench.up.state_dir / "audit.jsonl").read_text().splitlines()]
    written = [line for line in lines if line["pv"] == "SPEC1:Temperature"][-1]
    assert "127.0.0.1" in json.dumps(written)
    assert "pva" in json.dumps(written)


def test_a_monitor_through_the_gateway_hears_updates_and_severities(bench: Bench, client: ClientProcess) -> None:
    bench.publish("fast", 1.5)
    wait_for(lambda: client(_value, "SPEC1:Fast") == 1.5, 10.0, "1.5")
    client(_monitor, "SPEC1:Fast")
    wait_for(lambda: client(_heard)[-1:] == [(1.5, 0)], 10.0, "the first value")
    bench.publish("fast", 2.5)
    wait_for(lambda: client(_heard)[-1] == (2.5, 0), 10.0, "an update")
    bench.publish("fast", 3.5, quality="WARNING")
    wait_for(lambda: client(_heard)[-1] == (3.5, 1), 10.0, "its severity")
