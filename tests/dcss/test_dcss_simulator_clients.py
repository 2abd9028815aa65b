"""Clients at the other port of the simulated DCSS: logins, one master, refusals."""

import asyncio
import socket

import pytest

from devices.drivers.xos import Frame, XosDecoder, encode_frame, encode_login
from devices.simulators.dcss import Database, DcssSimulator

PLAYED = {
    "hosts": {"sim": {"simulated": True}, "loop": {}},
    "devices": [
        {"kind": "operation", "name": "echo", "host": "sim"},
        {"kind": "operation", "name": "collect", "host": "loop"},
        {"kind": "real_motor", "name": "gonio_phi", "host": "sim", "units": "deg", "circle": 1, "speed": 400000},
        {"kind": "real_motor", "name": "far", "host": "loop"},
        {"kind": "shutter", "name": "shutter", "host": "sim"},
        {"kind": "string", "name": "status", "host": "sim"},
        {"kind": "ion_chamber", "names": ["i0", "i1"], "host": "sim"},
        {"kind": "encoder", "name": "z_encoder", "host": "sim", "position": 401.25},
    ],
}


class Client:
    """A client, message for message."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.decoder = XosDecoder(first=0, protocol=2)

    async def connect(self, dcss: DcssSimulator, user: str = "ana", host: str = "localhost") -> "Client":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", dcss.gui_port)
        self.first = await self.next()
        self.writer.write(encode_login(f"gtos_client_is_gui {user} PRIVATE77 {host} :0"))
        return self

    async def ready(self, dcss: DcssSimulator, user: str = "ana") -> "Client":
        await self.connect(dcss, user)
        self.id = (await self.until("stog_login_complete")).split()[1]
        self.burst = await self.all_until("stog_dcss_end_update_all_device")
        return self

    async def next(self) -> str:
        async with asyncio.timeout(5.0):
            while not self.frames:
                data = await self.reader.read(65536)
                if not data:
                    return "the end"
                self.frames += self.decoder.feed(data)
        return self.frames.pop(0).text

    async def all_until(self, begin: str) -> list[str]:
        found = [await self.next()]
        while not found[-1].startswith(begin):
            assert found[-1] != "the end", begin
            found.append(await self.next())
        return found

    async def until(self, begin: str) -> str:
        return (await self.all_until(begin))[-1]

    def say(self, text: str) -> None:
        self.writer.write(encode_frame(text))


@pytest.mark.parametrize(("core", "first"), [("new", "stoc_send_client_type 2"), ("old", "stoc_send_client_type")])
def test_a_client_logs_in_and_hears_of_every_device(core: str, first: str) -> None:
    async def main() -> None:
        async with DcssSimulator(Database.of(PLAYED), gui=core) as dcss:
            client = await Client().ready(dcss)
            assert client.first == first and client.id == "2", "the scripting engine is number 1"
            for text in (
                "stog_update_client 2 ana {ana} {local} {} 1 1 localhost {local} 0 0",
                "stog_configure_hardware_host loop localhost offline",
                "stog_configure_real_motor gonio_phi sim gonio_phi 0.000000 1000.000000 -1000.000000 1000.000000 "
                "400000 100 0 0 0 0 0 0 0",
                "stog_set_motor_base_units gonio_phi deg",
                "stog_configure_shutter shutter sim closed",
                "stog_configure_encoder z_encoder sim 401.250000 401.250000",
                "stog_device_permission_bit i1 {1 1 1 1 1} {1 1 1 1 1}",
            ):
                assert text in client.burst, text
            client.writer.close()

    asyncio.run(main())


@pytest.mark.parametrize("host", ["elsewhere.org", ""])
def test_a_client_of_another_host_or_with_too_few_words_is_refused(host: str) -> None:
    async def main() -> None:
        async with DcssSimulator() as dcss:
            client = await Client().connect(dcss, host=host)
            assert await client.next() == "stog_authentication_failed 2"
            assert await client.next() == "the end"
            client.writer.close()

    asyncio.run(main())


def test_there_is_one_master_and_who_forces_takes_it() -> None:
    async def main() -> None:
        async with DcssSimulator(Database.of(PLAYED)) as dcss:
            ana, ben = await Client().ready(dcss), await Client().ready(dcss, "ben")
            ana.say("gtos_become_master noforce")
            await ana.until("stog_become_master")
            ben.say("gtos_become_master noforce")
            await ben.until("stog_other_master")
            ben.say("gtos_become_master force")
            await ben.until("stog_become_master")
            await ana.until("stog_become_slave")
            ana.say("gtos_start_motor_move gonio_phi 4")
            assert await ana.until("stog_motor_move_c") == "stog_motor_move_completed gonio_phi 0.000000 not_active"
            # A master that leaves is master no more.
            ben.writer.close()
            await ana.until("stog_update_client_list 1")
            ana.say("gtos_become_master noforce")
            await ana.until("stog_become_master")
            ana.writer.close()

    asyncio.run(main())


def test_operations_are_refused_by_reason_and_echoed_to_all_when_started() -> None:
    async def main() -> None:
        async with DcssSimulator(Database.of(PLAYED)) as dcss:
            ana, ben = await Client().ready(dcss), await Client().ready(dcss, "ben")
            ana.say("gtos_start_operation echo 2.1 x")
            assert await ana.until("stog_operation_completed") == "stog_operation_completed echo 2.1 not_active"
            ana.say("gtos_become_master force")
            for handle, reason in (("3.1", "not_honest_client"), ("7", "missing_operation_Id")):
                ana.say(f"gtos_start_operation echo {handle} x")
                assert (await ana.until("stog_operation_completed")).endswith(reason)
            ana.say("gtos_start_operation collect 2.2")
            assert await ana.until("stog_operation_completed") == "stog_operation_completed collect 2.2 no_hw_host_loop"
            ana.say("gtos_start_operation echo 2.3 x {y z}")
            for client in (ana, ben):
                assert await client.until("stog_start_operation") == "stog_start_operation echo 2.3 x {y z}"
                assert (
                    await client.until("stog_operation_completed") == "stog_operation_completed echo 2.3 normal x {y z}"
                )
            ana.say("gtos_paint_it_black")
            assert await ana.until("stog_log") == "stog_log error server Unrecognized command: gtos_paint_it_black."
            ana.writer.close()
            ben.writer.close()

    asyncio.run(main())


def test_the_master_moves_opens_counts_and_writes() -> None:
    async def main() -> None:
        async with DcssSimulator(Database.of(PLAYED), staff=("ana",)) as dcss:
            ana = await Client().ready(dcss)
            ana.say("gtos_become_master force")
            ana.say("gtos_start_motor_move gonio_phi 40.5")
            assert await ana.until("stog_motor_move_started") == "stog_motor_move_started gonio_phi 40.500000"
            assert await ana.until("stog_motor_move_c") == "stog_motor_move_completed gonio_phi 40.500000 normal"
            for asked, answer in (
                ("set_shutter_state shutter open", "report_shutter_state shutter open normal"),
                ("read_ion_chambers 0.02 0 i0 i1", "report_ion_chambers 0.020000 i0 200.000000 i1 200.000000"),
                ("set_string status READY {a b}", "set_string_completed status normal READY {a b}"),
                ("get_encoder z_encoder", "get_encoder_completed z_encoder 401.250000 normal"),
                ("start_motor_move far 1", "no_hardware_host far"),
                ("set_motor_position gonio_phi 0", "update_motor_position gonio_phi 0.000000 normal"),
            ):
                ana.say(f"gtos_{asked}")
                assert await ana.until(f"stog_{answer.split()[0]}") == f"stog_{answer}"
            ben = await Client().ready(dcss, "ben")
            ben.say("gtos_become_master force")
            ben.say("gtos_set_motor_position gonio_phi 3")
            assert (await ben.until("stog_log")).endswith("is for staff only")
            ana.writer.close()
            ben.writer.close()

    asyncio.run(main())


def test_an_oscillation_is_aborted_with_its_shutter_closed() -> None:
    async def main() -> None:
        async with DcssSimulator(Database.of(PLAYED)) as dcss:
            ana = await Client().ready(dcss)
            ana.say("gtos_become_master force")
            ana.say("gtos_start_oscillation gonio_phi shutter 180 60")
            await ana.until("stog_report_shutter_state shutter open")
            await ana.until("stog_update_motor_position gonio_phi")
            ana.say("gtos_abort_all hard")
            assert await ana.until("stog_report_shutter") == "stog_report_shutter_state shutter closed"
            ended = await ana.until("stog_motor_move_completed")
            assert ended.endswith("aborted") and 0.0 < float(ended.split()[2]) < 180.0
            ana.writer.close()

    asyncio.run(main())


def test_a_client_that_does_not_read_is_cut() -> None:
    async def main() -> None:
        async with DcssSimulator(Database.of(PLAYED)) as dcss:
            slow = socket.create_connection(("127.0.0.1", dcss.gui_port))
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(encode_login("gtos_client_is_gui ana s localhost :0"))
            deadline = asyncio.get_running_loop().time() + 10.0
            await dcss.engine.until(lambda: bool(dcss.gui.clients), 10.0, "a client")
            while dcss.gui.clients:
                assert asyncio.get_running_loop().time() < deadline
                dcss.dcss.broadcast("stog_log note server " + "x" * 9000)
                await asyncio.sleep(0)
            slow.close()

    asyncio.run(main())
