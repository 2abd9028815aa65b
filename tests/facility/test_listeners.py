"""What a facility listens on: by its file, and by the sockets that its processes really have."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from servers.facility import record
from servers.facility.facility_file import read_facility
from servers.facility.listener import NETWORK, THIS_HOST, Listener
from servers.facility.listeners import findings, lines, listeners, notes
from servers.facility.lock import state_lock
from servers.facility.planned_listeners import planned
from servers.facility.tango_ports import ior_ports
from tests.facility.running import CHECKOUT, command

SCRIPT = """
import socket, sys
kept = []
for kind, address in ((socket.SOCK_STREAM, "0.0.0.0"), (socket.SOCK_STREAM, "127.0.0.1"), (socket.SOCK_DGRAM, "::1")):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    sock.bind((address, 0))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    kept.append(sock)
local = socket.socket(socket.AF_UNIX)
local.bind(sys.argv[1])
local.listen()
print(*(sock.getsockname()[1] for sock in kept), flush=True)
sys.stdin.read()
"""


def demo(tmp_path: Path) -> list[Listener]:
    facility = read_facility(CHECKOUT / "dbconfig" / "demo.json", state_dir=tmp_path, offset=300)
    return list(planned(facility))


def write(folder: Path, services: Any = None, **extra: Any) -> Path:
    path = folder / "lab.json"
    path.write_text(json.dumps({"servers": {"Diptych": {"ccd": {"Ccd": {"ccd/1/exposure": {"properties": {}}}}}}}))
    content = {"classes": {"Ccd": "devices.core:Device"}, "services": services or {}, **extra}
    path.with_suffix(".facility.yaml").write_text(json.dumps(content))
    return path


def lab(folder: Path, services: Any = None, **extra: Any) -> list[Listener]:
    return list(planned(read_facility(write(folder, services, **extra), state_dir=folder / "state")))


def test_the_demo_opens_nothing_to_the_network_but_what_the_pvaccess_library_does(tmp_path: Path) -> None:
    found = demo(tmp_path)
    assert {each.port for each in found} >= {10300, 5364, 5375, 8380, 9143, 10023, 50351, 2702, 2703, 9300, 11412}
    assert findings(found) == []
    assert [each.where for each in found if each.reach == NETWORK] == ["udp://0.0.0.0:5376"]
    assert len(notes(found)) == 1
    assert "Channel Access" in "\n".join(lines(found))


def test_tango_on_the_network_is_told_of(tmp_path: Path) -> None:
    (told,) = findings(lab(tmp_path, bind="10.1.2.3"))
    assert told.startswith("tcp://10.1.2.3:10000 (Tango database (CORBA), database) is open to the network")


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"listen": "0.0.0.0:2402"}, ["tcp://0.0.0.0:2402"]),
        ({"listen": "10.1.2.3:7402", "web": "127.0.0.1:7403"}, ["tcp://10.1.2.3:7402"]),
        ({"listen": "ccd.site:7402", "web": "10.1.2.3:7403"}, ["tcp://ccd.site:7402", "tcp://10.1.2.3:7403"]),
        ({"listen": "10.1.2.3:7402", "web": "10.1.2.3:7403", "token_file": "/etc/ccd.token"}, []),
        ({}, []),
    ],
)
def test_a_native_service_on_the_network_needs_a_token(
    tmp_path: Path, options: dict[str, str], wrong: list[str]
) -> None:
    found = lab(tmp_path, {"camera": {"kind": "azcam", "device": "ccd/1/exposure", "options": options}})
    assert [line.split(" ")[0] for line in findings(found)] == wrong


def test_the_leash_listens_where_bind_says_not_where_clients_see_it(tmp_path: Path) -> None:
    options = {"network": "network", "server": "saxs.site:9723"}
    service = {"kind": "leash", "device": "ccd/1/exposure", "options": options}
    (here,) = (each for each in lab(tmp_path, {"leash": service}) if each.process == "leash")
    assert (here.where, here.reach) == ("tcp://127.0.0.1:9723", THIS_HOST)
    (open_to_all,) = (
        each
        for each in lab(tmp_path, {"leash": {**service, "options": {**options, "bind": "0.0.0.0"}}})
        if each.process == "leash"
    )
    assert open_to_all.reach == NETWORK
    assert open_to_all.finding == "", "each request is signed"


@contextmanager
def running(state_dir: Path, path: Path, process: subprocess.Popen[str], **ports: int) -> Iterator[None]:
    """The record of a facility, whose supervisor has opened sockets."""
    with state_lock(state_dir):
        record.Running(process.pid, str(path), "127.0.0.1:1", ports, own_database=False).write(state_dir)
        yield


def test_real_sockets_are_found_named_and_judged(tmp_path: Path) -> None:
    path, unix = write(tmp_path), tmp_path / "gate"
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(unix)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        everywhere, known, datagrams = map(int, process.stdout.readline().split())
        with running(tmp_path, path, process, ingest=known):
            found, is_running = listeners(tmp_path)
            typed = command("doctor", "--listeners", "--state-dir", tmp_path)
        process.communicate("")
    assert is_running
    assert {each.where: each.reach for each in found} == {
        f"tcp://0.0.0.0:{everywhere}": NETWORK,
        f"tcp://127.0.0.1:{known}": THIS_HOST,
        f"udp://[::1]:{datagrams}": THIS_HOST,
        f"unix:{unix}": THIS_HOST,
    }
    told = findings(found)
    assert len(told) == 3, told
    assert all("belongs to no protocol that is known here" in line for line in told)
    assert not any(str(known) in line for line in told)
    assert typed.returncode == 1
    assert f"tcp://0.0.0.0:{everywhere}" in typed.stdout.splitlines()[2], "what others reach comes first"
    assert all(line in typed.stdout for line in told)


def test_doctor_tells_what_a_file_would_open_where_nothing_runs(tmp_path: Path) -> None:
    typed = command("doctor", "--listeners", "--state-dir", tmp_path / "none", "--port-offset", "400")
    assert typed.returncode == 0, typed.stdout + typed.stderr
    assert typed.stdout.startswith("no facility runs here")
    assert "tcp://127.0.0.1:10400" in typed.stdout


def test_the_port_of_a_corba_reference_is_read_and_a_broken_one_has_none() -> None:
    # Byte order, IDL:x:1.0, one profile: IIOP 1.2 at 10.1.2.3:10000 (0x2710), an object key of 4 bytes.
    body = b"\1\1\2\0" + (9).to_bytes(4, "little") + b"10.1.2.3\0" + b"\0" + (10000).to_bytes(2, "little")
    body += b"\4\0\0\0abcd" + bytes(4)
    head = b"\1\0\0\0" + (10).to_bytes(4, "little") + b"IDL:x:1.0\0" + b"\0\0" + (1).to_bytes(4, "little")
    text = "IOR:" + (head + (0).to_bytes(4, "little") + len(body).to_bytes(4, "little") + body).hex()
    assert list(ior_ports(text)) == [10000]
    for broken in ("", "nada", "IOR:", "IOR:01", text[: len(text) // 2 - 40], "IOR:" + "ff" * 40):
        assert list(ior_ports(broken)) == []
