"""The simulated DCSS does to hardware servers what the real one does."""

import asyncio
import time

import pytest

from devices.core.errors import ConfigurationError, RefusedError
from devices.drivers.xos import Frame, XosDecoder, encode_frame, encode_login
from devices.simulators.dcss import Database, DcssSimulator
from devices.simulators.dcss.database import DcssString, IonChamber, Motor, RealMotor, Shutter


class Hardware:
    """A hardware server, byte for byte."""

    def __init__(self, protocol: int = 2) -> None:
        self.decoder = XosDecoder(protocol=protocol)
        self.frames: list[Frame] = []

    async def connect(self, dcss: DcssSimulator, name: str = "loop") -> "Hardware":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", dcss.port)
        assert await self.next() == "stoc_send_client_type"
        self.writer.write(encode_login(f"htos_client_is_hardware {name}"))
        return self

    async def next(self) -> str:
        """The next message; "" at the end of the connection."""
        async with asyncio.timeout(5.0):
            while not self.frames:
                data = await self.reader.read(65536)
                if not data:
                    return ""
                self.frames += self.decoder.feed(data)
        return self.frames.pop(0).text

    async def until(self, begin: str) -> str:
        while not (text := await self.next()).startswith(begin):
            assert text, f"the end instead of {begin}"
        return text

    def say(self, *texts: str) -> None:
        for text in texts:
            self.writer.write(encode_frame(text))


class Heard(list[str]):
    """What clients hear."""

    def __init__(self, dcss: DcssSimulator) -> None:
        super().__init__()
        dcss.dcss.listeners.append(self.append)

    async def until(self, text: str) -> None:
        await until(lambda: text in self)


def test_a_login_is_asked_and_answered_in_200_bytes_and_then_come_registrations() -> None:
    async def main() -> None:
        async with DcssSimulator() as dcss:
            reader, writer = await asyncio.open_connection("127.0.0.1", dcss.port)
            assert (await reader.readexactly(200)).startswith(b"stoc_send_client_type\0")
            writer.write(encode_login("htos_client_is_hardware loop"))
            # With the line end that DCSS puts behind operations, but not behind motors.
            expected = "          47            0 stoh_register_operation helloWorld helloWorld\n\0"
            assert await reader.readexactly(len(expected)) == expected.encode()
            stream = await reader.readuntil(b"gonio_phi gonio_phi\0")
            assert b"stoh_register_real_motor gonio_phi gonio_phi\0" in stream
            writer.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("login", "seconds"), [("htos_client_is_hardware robot", 0.0), ("gtos_client_is_gui a b c d", 0.0), ("", 1.0)]
)
def test_a_wrong_login_is_closed_without_a_word(login: str, seconds: float) -> None:
    async def main() -> None:
        async with DcssSimulator() as dcss:
            reader, writer = await asyncio.open_connection("127.0.0.1", dcss.port)
            await reader.readexactly(200)
            began = time.monotonic()
            if login:
                writer.write(encode_login(login))
            assert await reader.read() == b""
            assert time.monotonic() - began > seconds * 0.95
            assert len(dcss.hardware.refused) == 1
            writer.close()

    asyncio.run(main())


def test_a_name_that_is_there_already_and_another_computer_are_refused_later() -> None:
    async def main() -> None:
        async with DcssSimulator(Database.of({"hosts": {"loop": {}, "far": {"computer": "10.1.2.3"}}})) as dcss:
            dcss.hardware.twice_s, dcss.hardware.other_host_s = 0.3, 0.2
            first = await Hardware().connect(dcss)
            await dcss.online("loop")
            began = time.monotonic()
            assert await (await Hardware().connect(dcss)).next() == ""
            assert time.monotonic() - began > 0.28
            assert await (await Hardware().connect(dcss, "far")).next() == ""
            assert ["already" in dcss.hardware.refused[0], "10.1.2.3" in dcss.hardware.refused[1]] == [True, True]
            first.writer.close()

    asyncio.run(main())


def test_a_motor_is_announced_with_host_and_hardware_name_upper_before_lower() -> None:
    async def main() -> None:
        async with DcssSimulator() as dcss:
            dhs = await Hardware().connect(dcss)
            dhs.say("htos_send_configuration table_vert", "htos_send_configuration energy")
            assert await dhs.until("stoh_configure") == (
                "stoh_configure_real_motor table_vert loop table_vert 0.000000 25.000000 -10.000000 1000.000000 "
                "1000 100 0 1 1 0 0 0 0"
            )
            assert await dhs.until("stoh_configure") == (
                "stoh_configure_pseudo_motor energy loop energy 12658.000000 16000.000000 6000.000000 0 0 0 0"
            )
            heard = Heard(dcss)
            # Lower limit off, upper on: flags come lower first.
            dhs.say("htos_configure_device table_vert 1.5 20.0 -5.0 2000.0 500 250 -40 0 1 0 1 0")
            await heard.until(
                "stog_configure_real_motor table_vert loop table_vert 1.500000 20.000000 -5.000000 2000.000000 "
                "500 250 -40 0 1 0 1 0 0"
            )
            motor = dcss.dcss.devices["table_vert"]
            assert isinstance(motor, RealMotor) and (motor.lower_on, motor.upper_on, motor.backlash) == (0, 1, -40)
            dhs.say("htos_configure_device table_vert 1.5 20.0")
            await until(lambda: bool(dcss.violations))
            assert "with 3 words" in dcss.violations[0]
            dhs.writer.close()

    asyncio.run(main())


async def until(reached) -> None:
    deadline = time.monotonic() + 5.0
    while not reached():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.005)


def test_a_move_is_refused_by_limits_lock_motion_and_absence() -> None:
    async def main() -> None:
        async with DcssSimulator() as dcss:
            assert dcss.engine.move("table_vert", 3.0) == "no_hw_host_loop"
            dhs = await Hardware().connect(dcss)
            await dcss.online("loop")
            assert dcss.engine.move("table_vert", 25.1) == "sw_limit"
            assert dcss.engine.move("table_vert", -10.1) == "sw_limit"
            assert dcss.engine.move("table_vert", 25.0) == ""
            assert dcss.engine.move("table_vert", 1.0) == "moving"
            assert await dhs.until("stoh_start") == "stoh_start_motor_move table_vert 25.000000"
            dhs.say("htos_motor_move_completed table_vert 24.5 ccw_hw_limit")
            with pytest.raises(RefusedError, match="ccw_hw_limit"):
                await dcss.engine.idle("table_vert")
            motor = dcss.dcss.devices["table_vert"]
            assert isinstance(motor, Motor) and motor.position == 24.5
            motor.lock_on = 1
            assert dcss.engine.move("table_vert", 1.0) == "locked"
            dhs.writer.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("circle", "start", "target", "sent", "correction"),
    [
        (1, 350.0, 10.0, 370.0, -360),  # 0 to 360 degree: the short way is up
        (1, 10.0, 350.0, -10.0, 360),
        (2, 170.0, -170.0, 190.0, -360),  # -180 to 180 degree
        (3, 350.0, 10.0, 370.0, 0),  # only clients see a circle
        (0, 350.0, 10.0, 10.0, 0),
    ],
)
def test_a_circle_takes_the_short_way_and_is_brought_back_by_whole_turns(
    circle: int, start: float, target: float, sent: float, correction: int
) -> None:
    async def main() -> None:
        device = {"kind": "real_motor", "name": "gonio_phi", "host": "loop", "circle": circle, "position": start}
        async with DcssSimulator(Database.of({"hosts": {"loop": {}}, "devices": [device]})) as dcss:
            dhs = await Hardware().connect(dcss)
            await dcss.online("loop")
            assert dcss.engine.move("gonio_phi", target) == ""
            assert await dhs.until("stoh_start") == f"stoh_start_motor_move gonio_phi {sent:f}"
            dhs.say(f"htos_motor_move_completed gonio_phi {sent} normal", "htos_send_configuration gonio_phi")
            text = await dhs.next()
            if correction:
                assert text == f"stoh_correct_motor_position gonio_phi {correction}"
                text = await dhs.next()
            assert text.split()[4] == f"{sent + correction:f}"
            dhs.writer.close()

    asyncio.run(main())


def test_a_server_that_is_lost_ends_everything_that_was_asked_of_it() -> None:
    async def main() -> None:
        async with DcssSimulator() as dcss:
            heard, dhs = Heard(dcss), await Hardware().connect(dcss)
            await dcss.online("loop")
            run = dcss.engine.start_operation("slowOp", "3")
            assert dcss.engine.move("energy", 7000.0) == ""
            assert dcss.engine.ask("shutter", "stoh_set_shutter_state shutter open") == ""
            assert dcss.engine.read_ion_chambers(0.1, ["i0", "i1"]) == ""
            await dhs.until("stoh_read_ion_chambers 0.100000 0 i0 i1")
            dhs.writer.close()
            await dcss.engine.completed(run)
            assert run.status == "no_hw_host_loop"
            for text in (
                "stog_configure_hardware_host loop localhost offline",
                "stog_motor_move_completed energy 12658.000000 no_hw_host_loop",
                "stog_report_shutter_state shutter closed no_hw_host_loop",
                "stog_report_ion_chambers 0 i0 no_hw_host_loop",
            ):
                await heard.until(text)
            # A handle of before is unknown after.
            again = await Hardware().connect(dcss)
            again.say(f"htos_operation_completed slowOp {run.handle} normal")
            await until(lambda: bool(dcss.violations))
            assert dcss.violations == ["slowOp 1.1 is completed: no such operation runs"]
            again.writer.close()

    asyncio.run(main())


def test_everything_that_is_reported_is_stored_and_broadcast_without_what_tcl_would_run() -> None:
    async def main() -> None:
        async with DcssSimulator() as dcss:
            heard, dhs, devices = Heard(dcss), await Hardware().connect(dcss), dcss.dcss.devices
            dhs.say(
                "htos_report_shutter_state shutter open",
                "htos_report_shutter_state video_trigger open failed",
                "htos_report_ion_chambers 0.5 i0 1234.5 i1 7",
                "htos_report_ion_chambers 0 i0 i1 no_counter",
                "htos_set_string_completed detectorStatus normal {a b} [exit] $x;",
                "htos_get_encoder_completed detector_z_encoder 401.25 normal",
                "htos_update_motor_position energy 12000.5 normal",
                "htos_log warning loop PRIVATE0123 is late",
                "htos_configure_shutter shutter open",
                "htos_limit_hit energy upper",
            )
            await heard.until("stog_limit_hit energy upper")
            assert "stog_set_string_completed detectorStatus normal {a b}  exit   x " in heard
            assert "stog_log warning loop PRIVATE... is late" in heard
            shutter, trigger, i0, status = (devices[n] for n in ("shutter", "video_trigger", "i0", "detectorStatus"))
            assert isinstance(shutter, Shutter) and shutter.state == "open"
            assert isinstance(trigger, Shutter) and trigger.state == "closed", "it was no success"
            assert isinstance(i0, IonChamber) and i0.counts == 1234.5
            assert isinstance(status, DcssString) and status.contents == "{a b} [exit] $x;"
            # There is no such message, whatever documents say; the connection stays.
            assert dcss.dcss.unrecognized == ["htos_configure_shutter shutter open"] and dcss.violations == []
            dhs.writer.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("htos_operation_completed helloWorld 9.9 normal", "no such operation runs"),
        ("htos_operation_update " + "x" * 80 + " 1.1", "overruns 80 byte"),
        (f"htos_update_motor_position energy 1.0 {' '.join(['normal'] * 30)}", "overruns 200 byte"),
        ("htos_update_motor_position energy nan normal", "not finite"),
        ("htos_set_string_completed detectorStatus normal " + "x" * 1001, "cut at 1000"),
        ("htos_set_string_completed detectorStatus normal {a", "cannot evaluate"),
    ],
)
def test_what_would_break_the_real_one_is_noted(text: str, what: str) -> None:
    async def main() -> None:
        async with DcssSimulator() as dcss:
            dhs = await Hardware().connect(dcss)
            dhs.say(text)
            await until(lambda: bool(dcss.violations))
            assert what in dcss.violations[0]
            dhs.writer.close()

    asyncio.run(main())


def test_a_long_text_to_a_host_of_the_first_protocol_is_cut_without_its_nul() -> None:
    async def main() -> None:
        database = {"hosts": {"old": {"protocol": 1}}, "devices": [{"kind": "operation", "name": "op", "host": "old"}]}
        async with DcssSimulator(Database.of(database)) as dcss:
            dhs = await Hardware(1).connect(dcss, "old")
            await dhs.until("stoh_register_operation op op")
            run = dcss.engine.start_operation("op", "x" * 300)
            assert len(await dhs.next()) == 200
            dhs.writer.write(encode_login(f"htos_operation_completed op {run.handle} normal done"))
            assert (await dcss.engine.completed(run)).result == "done"
            dhs.writer.close()

    asyncio.run(main())


def test_bytes_behind_an_operation_are_kept() -> None:
    async def main() -> None:
        async with DcssSimulator() as dcss:
            dhs = await Hardware().connect(dcss)
            await dcss.online("loop")
            run = dcss.engine.start_operation("helloWorld")
            dhs.writer.write(encode_frame(f"htos_operation_completed helloWorld {run.handle} normal", b"\xff\xd8jpeg"))
            await dcss.engine.completed(run)
            assert list(dcss.dcss.binaries) == [("helloWorld", run.handle, b"\xff\xd8jpeg")]
            dhs.writer.close()

    asyncio.run(main())


def test_all_faults_of_a_database_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database.of(
            {
                "hosts": {"loop": {"speed": 3}},
                "devices": [
                    {"kind": "wheel", "name": "a"},
                    {"kind": "shutter", "name": "b", "host": "far", "colour": 1},
                ],
            }
        )
    text = str(caught.value)
    assert "host loop" in text and "device a: kind is none of" in text and "device b: unknown colour" in text
