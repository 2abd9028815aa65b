"""The ``diptych`` command as a person types it: what it shows, and the one clear line when something is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
import tango
from click.testing import CliRunner, Result

from servers.main import main
from tests.facility.running import CHECKOUT, DIPTYCH, Up, command, free_port, is_free, up, wait_for, write_facility

EVERYTHING = "tests.support.everything:Everything"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A facility of a plain Tango server and of one of ours, with one of everything."""
    folder = tmp_path_factory.mktemp("lab")
    path = write_facility(folder, free_port(), classes={"Everything": EVERYTHING})
    document = json.loads(path.read_text())
    document["servers"]["Diptych"]["all"] = {
        "Everything": {"test/all/1": {"properties": {"pv_prefix": ["ALL1:"], "channels": ["3"]}}}
    }
    path.write_text(json.dumps(document))
    with up(path, folder / "state") as running:
        yield running


def here(*words: object, environment: Mapping[str, str] | None = None) -> Result:
    """A command in this process, which spares a second of imports."""
    return CliRunner(env={"PYTHONPATH": str(CHECKOUT), **(environment or {})}).invoke(
        main, [str(word) for word in words]
    )


def ask(lab: Up, *words: object) -> str:
    """What a command that must succeed prints."""
    answer = here(*words, "--state-dir", lab.state_dir)
    assert answer.exit_code == 0, answer.output
    return answer.stdout.strip()


def refused(lab: Up, *words: object) -> str:
    """The one line of a command that must fail."""
    answer = here(*words, "--state-dir", lab.state_dir)
    assert answer.exit_code == 1, answer.output
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    return answer.stderr.strip()


def test_a_value_is_read_with_its_unit(lab: Up) -> None:
    assert ask(lab, "get", "test/all/1/temperature") == "100.0 K"
    assert ask(lab, "get", "test/heater/1/counts") == "[3, 1, 4]"
    assert ask(lab, "get", "test/heater/1/stage", "test/heater/1/state").splitlines()[0].endswith("stage  Warm")


@pytest.mark.parametrize(
    ("attribute", "words", "shown"),
    [
        ("temperature", ["95.5"], "95.5 K"),
        ("an_enum", ["blue"], "blue"),
        ("an_enum", ["1"], "red"),
        ("a_bool", ["on"], "true"),
        ("a_uint8", ["0xfa"], "250"),
        ("a_uint64", ["9223372036854775813"], "9223372036854775813"),
        ("a_string", ["steel,", "100 %"], "steel, 100 %"),
        ("numbers", ["[1.5, 2.25]"], "[1.5, 2.25] nm"),
        ("numbers", ["3", "0.00314"], "[3.0, 0.00314] nm"),
        ("texts", ["a,b"], '["a", "b"]'),
    ],
)
def test_a_value_is_written_by_its_type(lab: Up, attribute: str, words: list[str], shown: str) -> None:
    ask(lab, "put", f"test/all/1/{attribute}", *words)
    path = f"test/all/1/{attribute}"
    wait_for(lambda: ask(lab, "get", path) == shown, 5.0, f"{path} is {shown}, not {ask(lab, 'get', path)}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["put", "test/all/1/temperature", "warm"], "temperature: warm is not a number"),
        (["put", "test/all/1/temperature", "500"], "above the maximum"),
        (["put", "test/all/1/an_enum", "BLU"], "did you mean blue?"),
        (["put", "test/all/1/an_int16", "1.5"], "an_int16: 1.5 is not a whole number"),
        (["put", "test/all/1/a_bool", "maybe"], "neither true nor false"),
        (["put", "test/all/1/numbers", "[1, 2"], "is not a JSON list"),
        (["get", "test/all/1/temprature"], "no attribute temprature; did you mean temperature?"),
        (["get", "test/al/1/temperature"], "there is no device test/al/1"),
        (["get", "temperature"], "is not of the form domain/family/member/name"),
        (["call", "test/all/1/revers", "abc"], "no command revers; did you mean reverse?"),
        (["call", "test/all/1/add", "frist=1"], "did you mean first?"),
        (["call", "test/all/1/nothing", "7"], "nothing takes no argument"),
        (["call", "test/all/1/reverse"], "reverse needs an argument"),
        (["call", "test/all/1/only_when_off"], "NotAllowedError"),
        (["stop", "nobody"], "nobody does not run"),
        (["serve", "nobody"], "no server nobody"),
    ],
)
def test_a_mistake_is_answered_with_one_clear_line(lab: Up, words: list[str], expected: str) -> None:
    assert expected in refused(lab, *words)


def test_commands_take_named_and_single_arguments(lab: Up) -> None:
    assert ask(lab, "call", "test/heater/1/twice", "10.5") == "21.0"
    assert ask(lab, "call", "test/all/1/add", "first=1.5", "second=4") == "5.5"
    assert ask(lab, "call", "test/all/1/add", '{"first": 1.5}') == "3.5"
    assert ask(lab, "call", "test/all/1/reverse", "text=abc") == "cba"
    assert ask(lab, "call", "test/all/1/total", "1", "2", "3.5") == "6.5"
    assert ask(lab, "call", "test/all/1/nothing") == ""


def test_an_operation_is_waited_for_with_its_progress(lab: Up) -> None:
    lines = ask(lab, "call", "--wait", "test/all/1/expose", "0.8").splitlines()
    assert lines[0].startswith(("QUEUED", "RUNNING"))
    assert json.loads(lines[-1]) == {"seconds": 0.8}


def test_changes_are_shown_as_they_come(lab: Up) -> None:
    words = [*DIPTYCH, "monitor", "test/heater/1/setpoint", "--count", "2", "--state-dir", str(lab.state_dir)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None
        first = monitor.stdout.readline()
        heater = tango.DeviceProxy(f"tango://{lab.record()['tango_host']}/test/heater/1")

        def has_seen_a_change() -> bool:
            # An event of the first moments may be lost: Tango subscribes in the background.
            heater.setpoint = 35.25
            return monitor.poll() is not None

        wait_for(has_seen_a_change, 10.0, "the change is shown")
        second = monitor.stdout.readline()
        assert monitor.returncode == 0
    assert re.match(r"\d\d:\d\d:\d\d\.\d{3}  test/heater/1/setpoint  [\d.]+ degC", first)
    assert second.strip().endswith("35.25 degC")


def test_devices_are_listed_with_state_and_server(lab: Up) -> None:
    rows = [line.split() for line in ask(lab, "ls").splitlines()]
    assert ["test/heater/1", "ON", "StandIn", "Diptych/heater"] in rows
    assert ["test/all/1", "Everything", "Diptych/all"] in [[row[0], *row[2:]] for row in rows]
    assert refused(lab, "ls", "--pvs").startswith("error: no EPICS mirror runs at 127.0.0.1:")


def test_a_device_is_described(lab: Up) -> None:
    text = ask(lab, "describe", "test/all/1")
    assert "PVs begin with ALL1:" in text
    assert re.search(r"temperature +float64  read_write  K  \[0, 400\]", text)
    assert json.loads(ask(lab, "describe", "--json", "test/all/1"))["device_class"] == "Everything"
    assert "counts" in ask(lab, "describe", "test/heater/1")


def test_env_leads_a_shell_to_the_facility_and_nowhere_else(lab: Up) -> None:
    exports = ask(lab, "env")
    script = f'{exports}\necho "$PATH"; "{sys.executable}" -c "import os, json; print(json.dumps(dict(os.environ)))"'
    foreign = {**os.environ, "TANGO_HOST": "elsewhere:1", "EPICS_CA_AUTO_ADDR_LIST": "YES"}
    answer = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, env=foreign, check=True)
    path, variables = answer.stdout.splitlines()
    environment, record = json.loads(variables), lab.record()
    assert path.split(":")[0] == str(Path(sys.executable).parent)
    assert environment["TANGO_HOST"] == record["tango_host"]
    assert environment["EPICS_CA_ADDR_LIST"] == "127.0.0.1"
    assert environment["EPICS_CA_AUTO_ADDR_LIST"] == "NO"
    assert environment["EPICS_CA_SERVER_PORT"] == str(record["ports"]["ca"])
    assert environment["EPICS_CA_REPEATER_PORT"] == str(record["ports"]["ca_repeater"])
    servers = [f"127.0.0.1:{record['ports'][service]}" for service in ("pva", "pva_images")]
    assert environment["EPICS_PVA_NAME_SERVERS"].split() == servers
    assert environment["EPICS_PVA_BROADCAST_PORT"] == str(record["ports"]["pva_broadcast"])
    assert int(environment["EPICS_CA_MAX_ARRAY_BYTES"]) > 4 << 20


def test_env_can_be_asked_before_anything_runs(tmp_path: Path) -> None:
    exports = command("env", "--port-offset", 100, "--state-dir", tmp_path / "a b").stdout.splitlines()
    variables = dict(shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in exports)
    assert variables["TANGO_HOST"] == "127.0.0.1:10100"
    assert variables["EPICS_CA_SERVER_PORT"] == "5164"
    assert variables["DIPTYCH_STATE_DIR"] == str(tmp_path / "a b")


def test_a_tango_host_of_the_shell_is_not_taken(lab: Up, tmp_path: Path) -> None:
    foreign = {"TANGO_HOST": lab.record()["tango_host"]}
    answer = command("get", "test/heater/1/setpoint", "--state-dir", tmp_path, environment=foreign)
    assert answer.returncode == 1
    assert f"no facility runs on {tmp_path}" in answer.stderr and "--tango-host" in answer.stderr
    named = ["--state-dir", tmp_path, "--tango-host", lab.record()["tango_host"]]
    assert command("get", "test/heater/1/stage", *named).stdout.strip() == "Warm"


def test_the_doctor_says_what_leads_elsewhere(lab: Up) -> None:
    foreign = {"TANGO_HOST": "elsewhere:1", "EPICS_CA_ADDR_LIST": "10.1.2.3", "EPICS_CAS_BEACON_PERIOD": "3"}
    report = here("doctor", "--state-dir", lab.state_dir, environment=foreign)
    assert report.exit_code == 1
    assert 'TANGO_HOST=elsewhere:1 leads programs of this shell elsewhere: eval "$(diptych env)"' in report.stdout
    assert "EPICS_CA_ADDR_LIST=10.1.2.3 leads" in report.stdout
    assert "unset EPICS_CAS_BEACON_PERIOD" in report.stdout


def test_the_doctor_finds_a_taken_port_and_polling(lab: Up, tmp_path: Path) -> None:
    host, _, port = lab.record()["tango_host"].partition(":")
    database = tango.Database(host, int(port))
    database.put_device_property("test/heater/1", {"polled_attr": ["setpoint", "1000"]})
    try:
        report = ask_doctor(lab.state_dir)
        assert "test/heater/1 is polled by Tango (polled_attr = setpoint 1000)" in report
    finally:
        database.delete_device_property("test/heater/1", ["polled_attr"])
    assert "polled by Tango" not in ask_doctor(lab.state_dir)
    with socket.socket() as taken:
        offset = next(offset for offset in range(1000, 5000) if is_free(10000 + offset))
        taken.bind(("127.0.0.1", 10000 + offset))
        taken.listen()
        report = ask_doctor(tmp_path, "--port-offset", offset)
    assert f"port {offset + 10000} (tango) is in use by pid {os.getpid()}" in report


def test_the_doctor_finds_a_server_that_runs_twice(lab: Up) -> None:
    words = [sys.executable, "-c", "input()", "servers.main", "serve", "twin"]
    with contextlib.ExitStack() as stack:
        twins = [stack.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE)) for _ in range(2)]
        try:
            report = ask_doctor(lab.state_dir)
        finally:
            for twin in twins:
                twin.kill()
    pids = ", ".join(map(str, sorted(twin.pid for twin in twins)))
    assert f"serve twin runs 2 times (pids {pids}): kill all but one" in report


def test_a_changed_file_is_registered_and_its_server_restarted_when_wanted(lab: Up) -> None:
    path = Path(lab.record()["facility"])
    document = json.loads(path.read_text())
    heater = document["servers"]["Diptych"]["heater"]["StandIn"]["test/heater/1"]
    heater["attribute_properties"] = {"setpoint": {"max_alarm": ["90"]}}
    path.write_text(json.dumps(document))
    text = ask(lab, "register", path)
    assert "+ test/heater/1/setpoint max_alarm = 90" in text
    assert "heater runs; what changed (alarm limits too) holds from its next restart" in text
    heater["properties"]["room"] = ["C 7"]
    path.write_text(json.dumps(document))
    before = lab.pid("heater")
    text = ask(lab, "register", path, "--restart")
    assert "~ test/heater/1 room: B 12 -> C 7" in text and "heater runs again" in text
    assert lab.pid("heater") != before
    proxy = tango.DeviceProxy(f"tango://{lab.record()['tango_host']}/test/heater/1")
    assert proxy.get_attribute_config("setpoint").alarms.max_alarm == "90"
    assert "nothing to do" in ask(lab, "register", path)


def ask_doctor(state_dir: Path, *words: object) -> str:
    return here("doctor", "--state-dir", state_dir, *words).stdout


def test_every_wrong_property_and_doubled_pv_is_told_before_anything_starts(tmp_path: Path) -> None:
    port = free_port()
    path = write_facility(tmp_path, port, (), classes={"Everything": EVERYTHING, "Missing": "tests.support:Missing"})
    path.write_text(
        json.dumps(
            {
                "servers": {
                    "Diptych": {
                        "all": {
                            "Everything": {
                                "test/all/1": {
                                    "properties": {"channels": ["nine"], "priod": ["1"], "executor": ["proces"]}
                                },
                                "test/all/2": {"properties": {"pv_prefix": ["ALL:"], "period": ["100"]}},
                            },
                            "Missing": {"test/missing/1": {}},
                        }
                    }
                }
            }
        )
    )
    answer = command("up", path, "--state-dir", tmp_path / "state")
    assert answer.returncode == 1
    lines = answer.stderr.splitlines()
    assert all(line.startswith("error: bench.json: ") for line in lines) and len(lines) == 5, answer.stderr
    assert "test/all/1: channels = 'nine': not a whole number" in answer.stderr
    assert "did you mean period?" in answer.stderr
    assert "test/all/1: executor = 'proces': 'proces' is neither thread, process nor module:factory" in answer.stderr
    assert "test/all/2: period = '100': outside [0.001, 60.0]" in answer.stderr
    assert "test/missing/1: tests.support:Missing cannot be imported" in answer.stderr
    assert is_free(port)


def test_two_devices_may_not_have_one_full_pv_name(tmp_path: Path) -> None:
    # ALL:A + Level is AL + LALevel only by accident; the full names decide, not the prefixes.
    source = "from devices.core import Device, attribute\n"
    source += "class Long(Device):\n    level = attribute(float)\n"
    source += "class Short(Device):\n    a_level = attribute(float)\n"
    (tmp_path / "site_devices.py").write_text(source)
    path = write_facility(tmp_path, free_port(), (), classes={n: f"site_devices:{n}" for n in ("Long", "Short")})
    devices = {
        "Long": {"test/long/1": {"properties": {"pv_prefix": ["T:A"]}}},
        "Short": {"test/short/1": {"properties": {"pv_prefix": ["T:"]}}},
    }
    path.write_text(json.dumps({"servers": {"Diptych": {"both": devices}}}))
    environment = {"PYTHONPATH": str(tmp_path)}
    answer = command("up", path, "--state-dir", tmp_path / "state", environment=environment)
    assert answer.returncode == 1
    assert "test/short/1: its PV T:ALevel is that of test/long/1 too" in answer.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["up", "nowhere.json"], "nowhere.json: no such file"),
        (["sim", "cryokon"], "there is no simulator cryokon; did you mean cryocon?"),
        (["sim", "cryocon", "--option", "model"], "--option model is not of the form KEY=VALUE"),
        (["up", "--port-offset", "60000"], "is outside [1, 65535]"),
        (["get", "a/b/c/d", "--tango-host", "nonsense"], "no Tango database answers at nonsense"),
        (["up", "--tango-host", "127.0.0.1:9"], "no Tango database answers at 127.0.0.1:9"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path: Path, words: list[str], expected: str) -> None:
    if words[0] in ("get", "up"):
        words = [*words, "--state-dir", str(tmp_path / "state")]
    if words[1] == "--tango-host":
        words = [words[0], str(write_facility(tmp_path, free_port())), *words[1:]]
    answer = here(*words)
    assert answer.exit_code == 1
    assert len(answer.stderr.splitlines()) == 1 and expected in answer.stderr, answer.stderr


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(lab: Up) -> None:
    # A pipe nobody reads: the first line that is written finds it closed.
    words = ["describe", "test/all/1", "--state-dir", str(lab.state_dir)]
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [*DIPTYCH, *words], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30.0, env=environment
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_help_needs_no_control_system() -> None:
    script = "import sys, servers.main; sys.exit(int(any(m in sys.modules for m in ('tango', 'numpy', 'caproto'))))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    assert "monitor" in command("--help").stdout


def test_a_simulator_ends_with_a_signal(tmp_path: Path) -> None:
    port = free_port()
    words = [*DIPTYCH, "sim", "cryocon", "--port", str(port), "--option", "model=24C"]
    with (tmp_path / "output").open("w") as output, subprocess.Popen(words, stdout=output, stderr=output) as simulator:
        wait_for(lambda: not is_free(port), 10.0, "the simulator listens")
        assert psutil.Process(simulator.pid).net_connections()[0].laddr.ip == "127.0.0.1"
        simulator.send_signal(signal.SIGTERM)
        assert simulator.wait(5.0) == 0


def test_one_instrument_is_served_alone_without_a_database(tmp_path: Path) -> None:
    port, state_dir = free_port(), tmp_path / "state"
    path = write_facility(tmp_path, port, (), classes={"Everything": EVERYTHING})
    path.write_text(json.dumps({"servers": {"Diptych": {"all": {"Everything": {"test/all/1": {}}}}}}))
    words = ["serve", "all", "--file", path, "--state-dir", state_dir]
    environment = {"TANGO_HOST": "elsewhere:1"}
    started = command(*words, "--background", environment=environment)
    try:
        assert started.returncode == 0, started.stderr
        device = f"tango://127.0.0.1:{port}/test/all/1"
        assert tango.DeviceProxy(f"{device}#dbase=no").command_inout("reverse", "abc") == "cba"
        assert here("put", f"{device}/a_float64#dbase=no", "2.5").exit_code == 0
        assert here("get", f"{device}/a_float64#dbase=no").stdout.strip() == "2.5 mm"
        described = here("describe", f"{device}#dbase=no", "--state-dir", tmp_path / "no_facility")
        assert "a_float64" in described.stdout, described.stderr
        second = command(*words, environment=environment)
        assert second.returncode == 1 and "runs already" in second.stderr
    finally:
        stopped = command("stop", "all", "--state-dir", state_dir)
    assert stopped.stdout.strip() == "all is stopped"
    assert is_free(port)
