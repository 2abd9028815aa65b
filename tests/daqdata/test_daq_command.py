"""``diptych daq``: files are described and converted, nodes are asked, configured and watched; errors are one line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from devices.drivers.pff import RawFrame, Stamp, encode_header, product
from servers.main import main
from tests.daqdata.daq_nodes import DaqNodeServer, config_of, with_nodes

SECOND = 1721882086
TAI = (SECOND + 37) % 1024


def diptych(*words: object, timeout: float = 90.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "servers.main", "daq", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


@pytest.fixture
def pulses(tmp_path: Path) -> Path:
    """Two pulse heights of quabo 2, 0.5 s apart."""
    path = tmp_path / "start_2024-07-25T04_34_46Z.dp_ph256.bpp_2.module_9.seqno_0.pff"
    of = product("ph256")
    frames = []
    for number in (1, 2):
        stamp = Stamp(number, TAI, number * 250_000_000, SECOND, number * 250_000 + 3)
        frames.append(RawFrame(of, encode_header([stamp], 2), (np.arange(256) - number).astype("<i2").tobytes()).bytes)
    path.write_bytes(b"".join(frames))
    return path


def test_a_file_is_described(pulses: Path) -> None:
    found = diptych("info", pulses)
    assert found.returncode == 0, found.stderr
    lines = [" ".join(line.split()) for line in found.stdout.splitlines()]
    assert lines[1:] == [
        "product ph256, 16 x 16 pixels, int16",
        "module 9, file 0 of its run",
        "frames 2",
        "time 2024-07-25T04:34:46.250000000 to 2024-07-25T04:34:46.500000000 UTC",
        "span 0.250000 s, 4.000 frames/s",
        "quabos 0: 0, 1: 0, 2: 2, 3: 0",
        "desync 0 frames without a White Rabbit time",
        "steps back 0",
        "pixels -2 to 254, mean 126.00",
    ]


def test_frames_are_printed_as_json(pulses: Path) -> None:
    found = CliRunner().invoke(main, ["daq", "cat", str(pulses), "--frame", "-1", "--pixels"])
    (frame,) = map(json.loads, found.stdout.splitlines())
    assert frame["frame"] == 1
    assert frame["time"] == "2024-07-25T04:34:46.500000000"
    assert frame["header"]["quabo_num"] == 2
    assert frame["image"][0][:3] == [-2, -1, 0]
    assert [json.loads(line)["frame"] for line in diptych("cat", pulses).stdout.splitlines()] == [0, 1]


def test_a_file_is_converted(pulses: Path, tmp_path: Path) -> None:
    found = CliRunner().invoke(main, ["daq", "convert", str(pulses), str(tmp_path / "out.h5")])
    assert found.exit_code == 0 and "2 frames" in found.stdout
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["images"][1, 0, :3].tolist() == [-2, -1, 0]


def test_errors_are_one_line(pulses: Path, tmp_path: Path) -> None:
    cfg = tmp_path / "daq_config.json"
    cfg.write_text(json.dumps(config_of("127.0.0.1:1")))
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    for words, text in (
        (("info", tmp_path / "none.dp_ph256.pff"), "cannot be read"),
        (("cat", pulses, "--frame", 2), "outside [0, 1]"),
        (("convert", pulses, tmp_path / "out.png"), "suffix"),
        (("client", tmp_path / "none.json", "--list-hosts"), "daq_config does not exist"),
        (("client", empty, "--list-hosts"), "daq_nodes is empty"),
        (("client", cfg, "--ping"), "--ping needs --host"),
        (("client", cfg), "nothing was asked for"),
        (("client", cfg, "--host", "127.0.0.1:1", "--ping"), "does not answer"),
        (("client", cfg, "--init-sim"), "No valid daq hosts"),
    ):
        found = CliRunner().invoke(main, ["daq", *map(str, words)])
        assert found.exit_code == 1, words
        (line,) = [each for each in found.stderr.splitlines() if not each.startswith("WARNING")]
        assert line.startswith("error: ") and text in line


def client(config: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return diptych("client", config, *words)


def with_client(tmp_path: Path, test: object, *modules: int) -> None:
    """Run a plain function with a configuration file of running nodes."""

    async def work(*nodes: DaqNodeServer) -> None:
        config = tmp_path / "daq_config.json"
        config.write_text(json.dumps(config_of(*(node.host for node in nodes))))
        await asyncio.to_thread(test, config, *nodes)  # type: ignore[arg-type]

    with_nodes(work, *modules)


def test_a_node_is_asked_and_configured(tmp_path: Path) -> None:
    hp_io = tmp_path / "hp_io_config.json"
    hp_io.write_text(
        json.dumps({"data_dir": "/run", "update_interval_seconds": 0.02, "simulate_daq": False, "force": True})
    )

    def test(config: Path, node: DaqNodeServer) -> None:
        network = tmp_path / "network_config.json"
        network.write_text(json.dumps({"daq_nodes": [{"ip_addr": "10.0.0.1", "port_forwarding": {"status": False}}]}))
        found = client(
            config, network, "--host", node.host, "--ping", "--list-hosts", "--reflect-services", "--init", hp_io
        )
        assert found.returncode == 0, found.stderr
        assert "success" in found.stdout and f"{node.host}  answers" in found.stdout
        assert "rpc StreamImages(StreamImagesRequest) returns (stream StreamImagesResponse)" in found.stdout
        assert node.node.acquisition is not None and node.node.acquisition.data_dir == "/run"

    with_client(tmp_path, test, 1)


@pytest.mark.long
def test_images_are_counted_and_shown_until_the_time_is_over(tmp_path: Path) -> None:
    def test(config: Path, *nodes: DaqNodeServer) -> None:
        found = client(
            config, "--plot-view", "--plot-speed", "--module-ids", 1, 2, "--refresh-period", 5,
            "--output", tmp_path / "view.png", "--seconds", 6,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr
        assert "images/s" in found.stdout
        assert (tmp_path / "view.png").read_bytes().startswith(b"\x89PNG")

    with_client(tmp_path, test, 1, 2)


def test_without_a_display_a_window_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    def test(config: Path, node: DaqNodeServer) -> None:
        found = client(config, "--plot-view")
        assert found.returncode == 1
        assert "--output FILE" in found.stderr and "Traceback" not in found.stderr

    with_client(tmp_path, test, 1)


def test_ctrl_c_ends_a_plot_in_good_order(tmp_path: Path) -> None:
    def test(config: Path, node: DaqNodeServer) -> None:
        command = [sys.executable, "-m", "servers.main", "daq", "client", str(config), "--plot-speed"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            assert "images/s" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(60.0) == 0, process.stderr.read()
            assert "Traceback" not in process.stderr.read()

    with_client(tmp_path, test, 1)


def test_the_command_is_known_by_its_old_name_too(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]

    def test(config: Path, node: DaqNodeServer) -> None:
        found = subprocess.run(
            [sys.executable, "-m", "daq_data.cli", config, config, "--host", node.host, "--ping"],
            env=os.environ | {"PYTHONPATH": f"{root / 'compat' / 'panoseti'}{os.pathsep}{root}"},
            capture_output=True,
            text=True,
            timeout=90.0,
        )
        assert found.returncode == 0, found.stderr
        assert "success" in found.stdout

    with_client(tmp_path, test, 1)
