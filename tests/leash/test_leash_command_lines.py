"""The command lines of a Saxsdog network, as processes of their own."""

from __future__ import annotations

import base64
import configparser
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import click
import pytest
import zmq
from click.testing import CliRunner

from servers.leash.command import saxs
from servers.leash.curve_keys import make_keys, read_server_keys
from servers.leash.endpoint import Endpoint
from servers.leash.network_file import read_network, write_network
from servers.leash.service import LeashSettings
from tests.leash.detector import SECRET, Running, entry, running_leash
from tests.leash.test_leash_service import CALIBRATION, MASK
from tests.support.serving import wait_until

ROOT = Path(__file__).resolve().parents[2]


class Shell:
    """Runs commands with a home folder of its own, in a folder of its own, without a display."""

    def __init__(self, home: Path) -> None:
        self.home = home
        hidden = {"DISPLAY", "WAYLAND_DISPLAY", "DIPTYCH_STATE_DIR", "BROWSER"}
        self.env = {key: value for key, value in os.environ.items() if key not in hidden}
        self.env |= {"HOME": str(home), "PYTHONPATH": str(ROOT)}

    def begin(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "servers.main", "saxs", *words]
        pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(command, cwd=self.home, env=self.env, text=True, **pipes)

    def __call__(self, *words: str, answers: str = "", seconds: float = 30.0) -> tuple[int, str, str]:
        process = self.begin(*words)
        try:
            out, err = process.communicate(answers, seconds)
        finally:
            process.kill()
        assert "Traceback" not in err, err
        return process.returncode, out, err

    def inside(self, *words: str) -> tuple[int, str, str]:
        """The same in this process, which is quicker; for what is wrong."""
        done = CliRunner().invoke(saxs, list(words), env={key: self.env.get(key) for key in {*os.environ, *self.env}})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    def reply(self, *words: str) -> Any:
        code, out, err = self.inside("leash", *words)
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    return Shell(home)


@pytest.fixture
def leash(shell: Shell, tmp_path: Path) -> Iterator[Running]:
    base = tmp_path / "base"
    (base / "img").mkdir(parents=True)
    with running_leash(base) as found:
        write_network(shell.home / ".saxsdognetwork", [entry(found.url)])
        yield found


def write_calibration(folder: Path, mask: str = "AAA_integ.msk") -> None:
    (folder / "cal.json").write_text(json.dumps(CALIBRATION | {"Masks": [{"MaskFile": mask}, {"MaskFile": ""}]}))


# saxsleash ------------------------------------------------------------------------------------------------------------


def test_a_queue_from_its_calibration_to_its_end(shell: Shell, leash: Running) -> None:
    write_calibration(shell.home)
    (shell.home / "AAA_integ.msk").write_bytes(MASK)
    assert json.loads(shell("leash", "stat")[1]) == {"result": "stat", "data": {"stat": {}}}
    assert shell.reply("new", "cal.json")["data"]["cal"]["Masks"] == [{"MaskFile": "AAA_integ.msk"}, {"MaskFile": ""}]
    (shell.home / "AAA_integ.msk").write_bytes(b"GIF89a")
    refused = shell("leash", "new", "cal.json")
    assert refused[0] == 1 and "a mask is no Fit2D mask" in refused[2]
    assert json.loads(refused[1])["result"] == "IOError", "the reply is there, too"
    (shell.home / "AAA_integ.msk").write_bytes(MASK)
    (shell.home / "cal.json").write_text(json.dumps(CALIBRATION))
    assert shell.reply("new", "cal.json")["result"] == "new queue"
    found = leash.detector.queue
    assert found is not None and [(mask.filename, mask.data) for mask in found[1]] == [("AAA_integ.msk", MASK)]
    assert shell.reply("get")["data"]["cal"] == CALIBRATION
    assert shell.reply("plot")["result"] == "Empty", "without a display the reply is printed"
    leash.do(leash.detector.finish, "agbeh_00000", 310.5)
    printed = shell("leash", "plotdata")[1]
    assert "NaN" in printed and json.loads(printed)["data"]["graphs"][0]["array"][0][1] == 1.0763
    assert shell.reply("readdir")["result"] == "queue restarted with all files"
    assert shell.reply("listdir", "img")["data"]["dircontent"] == []
    assert shell.reply("fileslist")["result"] == "resultfileslists"
    assert shell.reply("close")["result"] == "queue closed"
    assert shell.reply("abort")["data"] == {"stat": {}}


def test_a_mask_and_a_folder_on_the_command_line_replace_those_of_the_calibration(shell: Shell, leash: Running) -> None:
    (shell.home / "data").mkdir()
    write_calibration(shell.home, "nowhere.msk")
    (shell.home / "data" / "AAA_integ.msk").write_bytes(MASK)
    document = json.loads((shell.home / "cal.json").read_text())
    (shell.home / "cal.json").write_text(json.dumps(document | {"Masks": document["Masks"][:1]}))
    code, _, err = shell("leash", "new", "cal.json")
    assert code == 1 and "nowhere.msk: no such file" in err
    assert shell.reply("new", "cal.json", "data/AAA_integ.msk", "img/agbeh/")["result"] == "new queue"
    assert leash.detector.queue is not None
    calibration, masks = leash.detector.queue
    assert calibration["Directory"] == ["img", "agbeh"]
    assert calibration["Masks"] == [{"MaskFile": "data/AAA_integ.msk"}]
    assert masks[0].data == MASK


def test_a_merge_by_the_command_line(shell: Shell, leash: Running) -> None:
    tables = [{"Name": "Peak", "Files": [{"RemotePath": [], "LocalPath": "peak.log"}, {"RemotePath": ["logs"]}]}]
    (shell.home / "merge.json").write_text(json.dumps({"TimeOffset": 0, "LogDataTables": tables}))
    (shell.home / "peak.log").write_text("Time\tI [µA]\n", encoding="utf-8")
    assert shell.reply("getmergedata")["result"] == "Empty"
    assert "startedmergedata" in shell.reply("mergedata", "merge.json")["result"]
    assert [(log.filename, log.data.decode()) for log in leash.detector.logs] == [("peak.log", "Time\tI [µA]\n")]
    code, _, err = shell("leash", "mergedata", "merge.json")
    assert code == 1 and "Merge already started" in err
    assert shell.reply("getmergestat")["data"]["mergeinfo"] == "reading logs\n"
    leash.do(leash.detector.end_merge)
    assert shell.reply("getmergedata")["result"] == "mergedata"


def test_the_options_stand_before_or_behind_the_command(shell: Shell, leash: Running) -> None:
    write_network(shell.home / "other", [entry("tcp://127.0.0.1:9", name="Queue1"), entry(leash.url, name="Queue2")])
    for words in (["-N", "1", "--network", "other", "stat"], ["stat", "-N1", "--network=other"]):
        assert shell.reply(*words)["result"] == "stat"
    assert shell.reply("stat", "-S", leash.url, "--network", "other")["result"] == "stat"


def test_a_picture_of_the_newest_image(shell: Shell, leash: Running) -> None:
    write_calibration(shell.home)
    (shell.home / "cal.json").write_text(json.dumps(CALIBRATION))
    (shell.home / "AAA_integ.msk").write_bytes(MASK)
    shell.reply("new", "cal.json")
    leash.do(leash.detector.finish, "agbeh_00000", 310.5)
    code, _, err = shell("leash", "plot", "-o", "now.svg", "-s", "1", "-y", "log")
    assert code == 0, err
    assert "agbeh_00000" in (shell.home / "now.svg").read_text()
    code, _, err = shell("leash", "plot", "-o", "now.svg", "--skip", "9")
    assert code == 1 and "leave nothing of 5 points" in err


def one_line(err: str) -> str:
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and err.strip() == lines[0], err
    return lines[0]


def test_what_is_wrong_is_one_clear_line(shell: Shell, leash: Running, tmp_path: Path) -> None:
    network = shell.home / ".saxsdognetwork"
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening: refused
        cases = {
            "Connection refused": ["stat", "-S", f"tcp://127.0.0.1:{unused.getsockname()[1]}"],
            "no reply within 0.3 s": ["stat", "-S", f"tcp://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.3"],
            "there is no server number 4; the file has 0": ["stat", "-N", "4"],
            "'http://x' is not tcp://HOST:PORT": ["stat", "-S", "http://x"],
            "cal.json: no such file": ["new", "cal.json"],
            "outside the folders": ["listdir", "../.."],
        }
        for text, words in cases.items():
            code, _, err = shell.inside("leash", *words)
            assert code == 1 and text in one_line(err), (words, err)
    write_network(network, [entry(leash.url)])
    network.write_text(network.read_text().replace(SECRET, "guessed guessed guessed"))
    code, out, err = shell.inside("leash", "abort")
    assert (code, out) == (1, "") and "the Secret of this entry is not that of the server" in one_line(err)
    network.write_text("[{]")
    assert "line 1 column 3: not JSON" in one_line(shell.inside("leash", "stat")[2])
    network.unlink()
    code, out, err = shell("leash", "stat")
    assert (code, out) == (1, "") and "no such file: saxsnetconf makes one" in one_line(err)


def test_a_file_that_others_may_read_is_warned_of_and_the_other_spelling_is_read(shell: Shell, leash: Running) -> None:
    usual, other = shell.home / ".saxsdognetwork", shell.home / ".saxdognetwork"
    usual.rename(other)
    assert shell("leash", "stat")[2] == ""
    other.chmod(0o640)
    code, _, err = shell("leash", "stat")
    assert code == 0 and err == f"warning: {other}: mode 640 is open to others than its owner: chmod 600 {other}\n"


def test_an_encrypted_server_by_the_keys_of_the_home_folder(shell: Shell, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = Endpoint("127.0.0.1", free.getsockname()[1])
    make_keys("Queue1", address, shell.home / ".saxsdognetwork")
    keys = read_server_keys("Queue1", shell.home / ".saxsdognetwork")
    write_network(shell.home / ".saxsdognetwork", [entry(str(address))])
    with running_leash(tmp_path, LeashSettings(entry(str(address)), curve=keys, follow_feeder=False)) as leash:
        assert len(leash.service.endpoints) == 1
        assert shell.reply("stat")["result"] == "stat"
        for file in (shell.home / ".saxsdogkeys").iterdir():
            assert file.stat().st_mode & 0o777 == 0o600
        client = shell.home / ".saxsdogkeys" / "Queue1.client.json"
        client.chmod(0o644)
        assert "open to others than its owner: chmod 600" in one_line(shell("leash", "stat")[2])
        client.unlink()
        code, _, err = shell("leash", "stat", "--timeout", "0.5")
        assert code == 1 and "it may take only encrypted requests" in one_line(err)


# saxsnetconf ----------------------------------------------------------------------------------------------------------


def test_a_network_file_is_asked_for_and_is_for_its_owner_alone(shell: Shell) -> None:
    code, out, err = shell("netconf", answers="\n\n")
    assert code == 0, err
    assert "Server [tcp://127.0.0.1:9723]" in out and "Feeder [tcp://127.0.0.1:9823]" in out
    path = shell.home / ".saxsdognetwork"
    assert path.stat().st_mode & 0o777 == 0o600
    (found,) = json.loads(path.read_text())
    assert set(found) == {"Server", "Feeder", "Secret", "Name"}
    assert (found["Server"], found["Feeder"]) == ("tcp://127.0.0.1:9723", "tcp://127.0.0.1:9823")
    assert found["Name"] == "Queue1" and re.fullmatch("[0-9a-f]{64}", found["Secret"])
    assert found["Secret"] not in out + err


def test_entries_are_added_changed_and_replaced(shell: Shell) -> None:
    path = shell.home / ".saxsdognetwork"
    urls = ("--server", "tcp://saxs1:9723", "--feeder", "tcp://pilatus:9823")
    assert shell("netconf", *urls)[0] == 0
    code, out, _ = shell("netconf", answers="\n\n")
    assert code == 0 and "Queue2 is entry 1 of 2" in out
    first, second = read_network(path)
    assert (str(second.server), str(second.feeder)) == ("tcp://127.0.0.1:9724", "tcp://127.0.0.1:9824")
    assert first.secret != second.secret
    code, out, _ = shell("netconf", "--name", "Queue1", "--server", "tcp://saxs2:9723", answers="\n")
    assert code == 0 and "Feeder [tcp://pilatus:9823]" in out
    assert [str(each.server) for each in read_network(path)] == ["tcp://saxs2:9723", "tcp://127.0.0.1:9724"]
    assert read_network(path)[0].secret == first.secret, "clients go on"
    assert shell("netconf", "--name", "Queue1", "--new-secret", *urls)[0] == 0
    assert read_network(path)[0].secret != first.secret
    assert shell("netconf", "-n", *urls)[0] == 0
    assert [each.name for each in read_network(path)] == ["Queue1"]
    assert [file.name for file in shell.home.iterdir()] == [".saxsdognetwork"]


def test_what_is_no_address_changes_nothing(shell: Shell) -> None:
    path = shell.home / ".saxsdognetwork"
    shell.inside("netconf", "--server", "tcp://saxs1:9723", "--feeder", "tcp://pilatus:9823")
    before = path.read_bytes()
    for url in ("http://saxs1", "tcp://saxs1", "tcp://saxs1:70000", "saxs1:9723", "tcp://:9723"):
        code, _, err = shell.inside("netconf", "--server", url, "--feeder", "tcp://pilatus:9823")
        assert code == 1 and "is not tcp://HOST:PORT" in one_line(err)
    assert path.read_bytes() == before


def test_keys_for_an_encrypted_server(shell: Shell) -> None:
    urls = ("--server", "tcp://saxs1:9723", "--feeder", "tcp://pilatus:9823", "--curve", "tcp://saxs1:9724")
    assert shell("netconf", *urls)[0] == 0
    keys = read_server_keys("Queue1", shell.home / ".saxsdognetwork")
    assert keys is not None and str(keys.server) == "tcp://saxs1:9724"
    assert {file.stat().st_mode & 0o777 for file in (shell.home / ".saxsdogkeys").iterdir()} == {0o600}


# saxsfeeder -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def subscriber() -> Iterator[Any]:
    with zmq.Context() as context, context.socket(zmq.SUB) as link:
        link.linger = 0
        link.subscribe(b"")
        yield link


def announced(subscriber: Any, seconds: float = 10.0) -> Any:
    assert subscriber.poll(int(1000 * seconds)), "nothing was announced"
    (part,) = subscriber.recv_multipart()
    return json.loads(part)


@pytest.mark.long
def test_images_are_announced_when_they_are_complete_and_once(shell: Shell, subscriber: Any) -> None:
    (shell.home / "img").mkdir()
    (shell.home / "img" / "before.tif").write_bytes(b"II*\0")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = shell.begin("feeder", "img", "-p", str(port), "--settle", "1")
    try:
        subscriber.connect(f"tcp://127.0.0.1:{port}")
        assert process.stderr is not None
        wait_until(lambda: "a server listens" in process.stderr.readline(), 20.0)  # type: ignore[union-attr]
        slow = (shell.home / "img" / "agbeh_00000.tif").open("wb", buffering=0)
        written = 0
        end_s = time.monotonic() + 1.5
        while time.monotonic() < end_s:  # a detector that writes for longer than a file has to be still
            written += slow.write(b"II*\0" * 256)
            assert not subscriber.poll(20), "announced while it was written"
        slow.close()
        assert announced(subscriber) == {"command": "new file", "argument": "img/agbeh_00000.tif"}
        hidden = shell.home / "img" / ".agbeh_00001.tif"
        hidden.write_bytes(b"II*\0")
        (shell.home / "img" / "agbeh.txt").write_text("no image")
        hidden.rename(shell.home / "img" / "agbeh_00001.tif")
        assert announced(subscriber)["argument"] == "img/agbeh_00001.tif"
        (shell.home / "img" / "run2").mkdir()
        (shell.home / "img" / "run2" / "a.cbf").write_bytes(b"###CBF")
        assert announced(subscriber)["argument"] == "img/run2/a.cbf"
        (shell.home / "img" / "agbeh_00001.tif").write_bytes(b"II*\0 once more")
        assert announced(subscriber)["argument"] == "img/agbeh_00001.tif", "written again"
        assert not subscriber.poll(1500), "once"
        process.send_signal(signal.SIGINT)
        assert process.wait(10.0) == 0
    finally:
        process.kill()
        process.communicate()


def test_images_wait_for_the_first_server_that_listens(shell: Shell, subscriber: Any) -> None:
    for name in ("b.tif", "a.tif", "c.txt"):
        (shell.home / name).write_bytes(b"II*\0")
    with socket.create_server(("127.0.0.1", 0)) as free:
        write_network(shell.home / ".saxsdognetwork", [entry(feeder=f"tcp://127.0.0.1:{free.getsockname()[1]}")])
        feeder = read_network(shell.home / ".saxsdognetwork")[0].feeder
    process = shell.begin("feeder", "-d", ".", "--existing", "-s", "unused")
    try:
        assert process.stderr is not None
        wait_until(lambda: "b.tif" in process.stderr.readline(), 20.0)  # type: ignore[union-attr]
        subscriber.connect(str(feeder))
        assert [announced(subscriber)["argument"] for _ in range(2)] == ["a.tif", "b.tif"]
        process.terminate()
        assert process.wait(10.0) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_feeder_without_a_folder_or_a_port_says_so(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = shell("feeder", "-p", str(taken.getsockname()[1]))
        assert code == 1 and "cannot listen on tcp://127.0.0.1" in one_line(err)
    code, _, err = shell("feeder", "nowhere", "-p", "0")
    assert code == 1 and "nowhere cannot be read: No such file" in err
    assert "saxsnetconf makes one" in one_line(shell("feeder")[2])


# plotchi and leash ----------------------------------------------------------------------------------------------------


def chi(path: Path, factor: float, columns: int = 3) -> None:
    """A curve with a peak at the first ring of silver behenate, and an empty bin at its end."""
    rows = [(0.1 * n, factor * (1 + 100 * (n == 11)), 0.5) for n in range(1, 30)] + [(3.0, float("nan"), float("nan"))]
    body = "\n".join(" " + " ".join(f"{value:.18e}" for value in row[:columns]) for row in rows)
    path.write_text(f'{{"Title": "x"}}\n{{"I0": 1.0}}\n["q [nm^-1]", "I", "sigma"]\n   {len(rows)}\n{body}\n ')


def test_curves_of_files_are_plotted_and_compared(shell: Shell) -> None:
    chi(shell.home / "agbeh.chi", 1.0)
    chi(shell.home / "buffer.chi", 1.25, columns=2)
    words = [
        "plot",
        "agbeh.chi",
        "buffer.chi",
        "-o",
        "both.svg",
        "-c",
        "-l",
        "-t",
        "silver behenate",
        "-s",
        "2",
        "-k",
        "0",
    ]
    code, _, err = shell(*words)
    assert code == 0, err
    picture = (shell.home / "both.svg").read_text()
    for text in ("silver behenate", "agbeh", "buffer", "q [nm^-1]", "difference to agbeh", "difference [%]"):
        assert f"<!-- {text} -->" in picture
    assert shell("plot", "agbeh.chi", "-n", "-o", "alone.pdf")[0] == 0
    assert (shell.home / "alone.pdf").read_bytes().startswith(b"%PDF")


def test_what_cannot_be_plotted_is_named(shell: Shell) -> None:
    chi(shell.home / "agbeh.chi", 1.0)
    (shell.home / "notes.chi").write_text("a\nb\nc\nd\nno numbers here\n")
    cases = {
        "name a file with --out": ["agbeh.chi"],
        "pictures are": ["agbeh.chi", "-o", "x.docx"],
        "notes.chi": ["notes.chi", "-o", "x.png"],
        "nowhere.chi": ["nowhere.chi", "-o", "x.png"],
        "--skip 20 and --clip 10 leave nothing of 30 points": ["agbeh.chi", "-o", "x.png", "-s", "20", "-k", "10"],
    }
    for text, words in cases.items():
        code, _, err = shell.inside("plot", *words)
        assert code == 1 and text in one_line(err), err
    assert not (shell.home / "x.png").exists()


def test_the_old_leash_opens_the_panel_and_begins_nothing(shell: Shell) -> None:
    code, _, err = shell("open")
    assert code == 1 and "no facility runs" in one_line(err)
    page = "http://127.0.0.1:8080/#/saxs/SAXS1:"
    code, out, err = shell("open", "--url", page)
    assert code == 0 and page in out, err
    file = shell.home / "cal é.saxsconf"
    file.write_text(json.dumps({"Title": "Bäume", "Wavelength": -1.0}))  # the editor says what is wrong with it
    code, out, err = shell.inside("open", str(file), "--url", page)
    assert code == 0, err
    query = parse_qs(out.strip().partition("SAXS1:?")[2])
    text = query["calibration"][0]
    assert query["file"] == [file.name]
    assert json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) == json.loads(file.read_text())
    file.write_text("[1]")
    code, _, err = shell.inside("open", str(file), "--url", page)
    assert code == 1 and "not a JSON object" in one_line(err)
    code, _, err = shell.inside("open", str(file), "--url", "http://127.0.0.1:8080/#/overview")
    assert code == 1 and "has no editor of calibrations" in one_line(err)


def test_every_old_name_is_a_command() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].split("\n")
    scripts = dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in lines if line)
    assert {"saxsleash", "saxsfeeder", "saxsnetconf", "plotchi", "leash"} <= set(scripts)
    for name, target in scripts.items():
        module, _, function = target.partition(":")
        command = getattr(importlib.import_module(module), function)
        assert isinstance(command, click.Command) if module.startswith("servers.leash") else callable(command), name
