"""Scripted operations of the simulated DCSS, the small Tcl they are written in, the process and its control port."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from devices.dcss.dhs_link import DhsLink
from devices.dcss.handler import DhsHandler, Message, Sender
from devices.drivers.dcs_record import WireLine
from devices.simulators.dcss import Database, DcssSimulator, ScriptRunner
from devices.simulators.dcss.replay import Replay
from devices.simulators.dcss.tcl import Tcl
from devices.simulators.dcss.tcl_parse import TclError
from tests.support.real_tcl import RealTcl, real_tcl

__all__ = ["real_tcl"]

LOOP = {
    "hosts": {"loop": {}, "sim": {"simulated": True}},
    "devices": [
        {"kind": "operation", "names": ["collectLoopImages", "stopCollectLoopImages"], "host": "loop"},
        {"kind": "operation", "name": "echo", "host": "sim"},
        {"kind": "real_motor", "name": "gonio_phi", "host": "sim", "speed": 400000, "circle": 1},
        {"kind": "real_motor", "name": "table_vert", "host": "sim", "upper": 5.0, "upper_on": 1, "speed": 400000},
        {"kind": "shutter", "name": "video_trigger", "host": "sim"},
        {"kind": "string", "name": "status", "host": "sim"},
        {"kind": "ion_chamber", "names": ["i0", "i1"], "host": "sim"},
    ],
}


class Collector(DhsHandler):
    """Sends a row for each message of a collection that is over at its stop."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.handle = ""

    def logged_in(self, sender: Sender) -> None:
        self.sender = sender

    def lost(self, reason: str) -> None:
        self.handle = ""

    def take(self, message: Message) -> None:
        if message.command != "stoh_start_operation":
            return
        name, handle = message.words[:2]
        if name == "collectLoopImages":
            self.handle = handle
            self.sender.send("htos_operation_update", [name, handle, "start_oscillation"])
            return
        for index in range(self.rows):
            row = f"LOOP_INFO {index} normal 0.51 0.4{index}"
            self.sender.send("htos_operation_update", ["collectLoopImages", self.handle], rest=row)
        self.sender.send("htos_operation_completed", [name, handle, "normal"], rest="flag set")
        self.sender.send("htos_operation_completed", ["collectLoopImages", self.handle, "normal", "done"])


SCRIPTS = [
    "set a 5; incr a 3; set b [expr {$a * 2 + 1}]",
    'set x 3\nif {$x > 5} { set r big } elseif {$x == 3} { set r "is $x" } else { set r small }\nset r',
    "set sum 0; foreach {a b} {1 2 3 4} { incr sum [expr {$a * $b}] }; set sum",
    "set n 0; while {1} { incr n; if {$n == 3} continue; if {$n >= 7} break }; set n",
    "for {set i 0} {$i < 4} {incr i} { lappend l [list $i {a b}] }; set l",
    "proc twice {x} { return [expr {2 * $x}] }; twice [twice 5]",
    "proc all {first args} { return [llength $args] }; all a b {c d}",
    "proc add {a {b 5}} { return [expr {$a + $b}] }; list [add 1] [add 1 2]",
    'proc fails {} { return -code error "no loop" }; list [catch {fails} text] $text',
    "set l {}; foreach {a b} {1 2 3 4 5} c {x y} { lappend l $a$b$c }; set l",
    "proc off {} { return 0 }; set n -3; expr {![off] && abs($n + 0.5) > 2}",
    "lindex {a {b c} d} end-1",
    "lrange {a b c d} 1 end",
    "list [catch {error oops} text] $text",
    "catch {nonsense 1}",
    "set a(1) x; set i 1; set b $a($i)",
    "expr {7 / 2 + 7 % 4 - -1}",
    "expr {7.0 / 2}",
    "expr {(1 < 2 && 3 != 4) || !1}",
    'expr {"abc" eq "abc"}',
    "expr {abs(-3) + int(2.9) + round(2.5)}",
    "set a {$x [y]}; string length $a",
    "# a comment\n set a 1 ;# another\n set a",
    'format "%d %.2f %s" 3 2.5 x',
    "join {a b c} -",
    "concat a {b c} {}",
    'set a b; set "c d" 1; set x "${a} [set a]\\t;"',
    "list a \\\n  b",
    "info exists nothing",
    "append a x y; append a z",
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_give_what_they_give_in_tcl_itself(real_tcl: RealTcl, script: str) -> None:
    assert asyncio.run(Tcl().run(script)) == real_tcl.eval(script)


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("nonsense", "invalid command name"),
        ("set a $b", "no such variable"),
        ("set a {", "missing close-brace"),
        ("set a [list b", "missing close-bracket"),
        ("expr {1 / 0}", "divide by zero"),
        ("proc p {} {p}; p", "infinite loop"),
        ("move table_vert to 5.1", "sw_limit"),
        ("start_operation collectLoopImages", "no_hw_host_loop"),
        ("get_motor_position wheel", "no such motor"),
    ],
)
def test_a_script_that_fails_says_why(script: str, what: str) -> None:
    async def main() -> None:
        async with DcssSimulator(Database.of(LOOP)) as dcss:
            with pytest.raises(TclError, match=what):
                await ScriptRunner(dcss.engine).run(script)

    asyncio.run(main())


def test_a_script_moves_counts_waits_for_strings_and_operations() -> None:
    script = """
        move gonio_phi to 30 deg
        wait_for_devices gonio_phi
        move gonio_phi by -45
        wait_for_devices gonio_phi
        open_shutter video_trigger
        wait_for_devices video_trigger
        read_ion_chambers 0.02 i0 i1
        wait_for_devices i0 i1
        set_string_contents status phase READY
        wait_for_string_contents status READY 1
        set handle [start_waitable_operation echo 7 {a b}]
        list [get_motor_position gonio_phi] [get_ion_chamber_counts i0 i1] [wait_for_operation_to_finish $handle]
    """

    async def main() -> None:
        async with DcssSimulator(Database.of(LOOP)) as dcss:
            result = await ScriptRunner(dcss.engine).run(script)
            # A circle from 0 to 360 degree.
            assert result == "345.000000 {200.000000 200.000000} {normal 7 {a b}}"
            assert dcss.violations == []

    asyncio.run(main())


def test_the_loop_script_turns_the_sample_and_gets_its_rows_in_order() -> None:
    async def main() -> None:
        async with DcssSimulator(Database.of(LOOP)) as dcss:
            link = DhsLink("127.0.0.1", dcss.port, "loop", Collector(5))
            await link.start()
            await dcss.online("loop")
            rows = await ScriptRunner(dcss.engine).run("loopFast", "180 0.3")
            assert rows == " ".join(f"{{{index} normal 0.51 0.4{index}}}" for index in range(5))
            assert dcss.dcss.devices["gonio_phi"].position == pytest.approx(180.0)
            await link.stop()
            assert dcss.violations == []

    asyncio.run(main())


def test_a_script_whose_server_dies_fails_with_the_word_of_dcss() -> None:
    class Silent(Collector):
        def take(self, message: Message) -> None:
            if message.command == "stoh_start_operation":
                self.handle = message.words[1]

    async def main() -> None:
        async with DcssSimulator(Database.of(LOOP)) as dcss:
            handler = Silent(0)
            link = DhsLink("127.0.0.1", dcss.port, "loop", handler)
            await link.start()
            await dcss.online("loop")
            script = asyncio.create_task(ScriptRunner(dcss.engine).run("loopFast"))
            deadline = time.monotonic() + 5.0
            while not handler.handle:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.005)
            dcss.hardware.drop("loop", "reset")
            with pytest.raises(TclError, match="no_hw_host_loop"):
                await script
            await link.stop()

    asyncio.run(main())


def test_a_record_is_played_to_a_server_that_answers_as_it_did() -> None:
    texts = [
        ("link", "online 1"),
        ("in", "stoh_register_operation collectLoopImages collectLoopImages"),
        ("in", "stoh_start_operation collectLoopImages 1.1 0.2"),
        ("out", "htos_operation_update collectLoopImages 1.1 start_oscillation"),
        ("link", "lost: closed by DCSS"),
        ("link", "online 2"),
        ("in", "stoh_start_operation collectLoopImages 1.2 0.2"),
        ("out", "htos_operation_update collectLoopImages 1.2 start_oscillation"),
    ]

    async def main() -> None:
        handler = Collector(0)
        async with Replay([WireLine(float(n), "loop", *line) for n, line in enumerate(texts)]) as replay:
            link = DhsLink("127.0.0.1", replay.port, "loop", handler)
            await link.start()
            await asyncio.wait_for(replay.over.wait(), 10.0)
            assert replay.received == replay.expected and len(replay.expected) == 2
            assert link.logins == 2
            await link.stop()

    asyncio.run(main())


class Process:
    """``diptych sim dcss`` and its control port."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process, self.port = process, port

    async def ask(self, **line: object) -> dict[str, object]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port + 2)
        writer.write(json.dumps(line).encode() + b"\n")
        async with asyncio.timeout(20.0):
            answer = json.loads(await reader.readline())
        writer.close()
        return dict(answer)


@contextlib.asynccontextmanager
async def simulating(*options: str):
    port = _three_free_ports()
    words = [word for option in options for word in ("--option", option)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "servers.main", "sim", "dcss", "--port", str(port), *words, env=dict(os.environ)
    )
    try:
        deadline = time.monotonic() + 30.0
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port + 2), 1.0).close()
                break
            assert time.monotonic() < deadline and process.returncode is None
            await asyncio.sleep(0.05)
        yield Process(process, port)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 10.0)


def _three_free_ports() -> int:
    while True:
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            sockets = [held.enter_context(socket.socket()) for _ in range(3)]
            sockets[0].bind(("127.0.0.1", 0))
            port = int(sockets[0].getsockname()[1])
            for offset in (1, 2):
                sockets[offset].bind(("127.0.0.1", port + offset))
            return port


def test_the_process_reads_a_database_repeats_a_script_and_does_faults_on_demand(tmp_path: Path) -> None:
    (tmp_path / "database.json").write_text(json.dumps(LOOP))
    (tmp_path / "count.tcl").write_text("set_string_contents status [expr {[get_motor_position gonio_phi] + 1}]")

    async def main() -> None:
        options = [f"database={tmp_path}/database.json", f"script={tmp_path}/count.tcl", "every_s=0.1", "wait_for=loop"]
        async with simulating(*options) as dcss:
            link = DhsLink("127.0.0.1", dcss.port, "loop", Collector(3))
            await link.start()
            script = "wait_for_string_contents status 1.0; get_string_contents status"
            assert await dcss.ask(do="script", text=script) == {"done": "1.0"}
            rows = await dcss.ask(do="script", text="loopFast", arguments="90 0.2")
            assert str(rows["done"]).startswith("{0 normal 0.51")
            assert await dcss.ask(do="drop", name="loop", how="reset") == {"done": None}
            deadline = time.monotonic() + 5.0
            while link.logins < 2:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            assert "pause_s" in (await dcss.ask(do="faults", pause_s=0.01))["done"]  # type: ignore[operator]
            assert "error" in await dcss.ask(do="faults", colour=1)
            assert "error" in await dcss.ask(do="dance")
            state = (await dcss.ask(do="state"))["done"]
            assert isinstance(state, dict) and state["violations"] == [] and "sim" in state["online"]
            await link.stop()
        assert dcss.process.returncode == 0

    asyncio.run(main())
