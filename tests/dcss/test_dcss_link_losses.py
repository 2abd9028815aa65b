"""The link of a hardware server is lost in every way there is, and is back within a second."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devices.core.errors import BadValueError
from devices.dcss.dhs_link import DhsLink, LinkSettings
from devices.dcss.handler import DhsHandler, Message, Sender
from devices.drivers.dcs_record import WireRecord, read_record
from devices.drivers.xos import LOGIN_BYTES, encode_frame, encode_login
from devices.simulators.dcss import Database, DcssSimulator


class Answering(DhsHandler):
    """Completes every operation with its arguments; ``hold`` keeps them."""

    def __init__(self) -> None:
        self.sender: Sender | None = None
        self.taken: list[Message] = []
        self.events: list[str] = []
        self.hold = False

    def logged_in(self, sender: Sender) -> None:
        self.sender = sender
        self.events.append(f"in {sender.generation}")

    def lost(self, reason: str) -> None:
        self.events.append("lost")

    def take(self, message: Message) -> None:
        self.taken.append(message)
        if message.command == "stoh_start_operation" and not self.hold:
            self.answer(message)

    def answer(self, message: Message, generation: int | None = None) -> bool:
        assert self.sender is not None
        name, handle, *rest = message.words
        return self.sender.send(
            "htos_operation_completed", [name, handle, "normal"], rest=" ".join(rest), generation=generation
        )

    @property
    def registrations(self) -> list[str]:
        return [each.words[0] for each in self.taken if each.command.startswith("stoh_register")]


@contextlib.asynccontextmanager
async def linked(
    settings: LinkSettings | None = None, *, database: Database | None = None, names: Sequence[str] = ("loop",)
) -> AsyncIterator[tuple[DcssSimulator, list[DhsLink], list[Answering]]]:
    handlers = [Answering() for _ in names]
    async with DcssSimulator(database) as dcss:
        links = [
            DhsLink("127.0.0.1", dcss.port, name, each, settings) for name, each in zip(names, handlers, strict=True)
        ]
        try:
            for link in links:
                await link.start()
            for name in names:
                await dcss.online(name)
            yield dcss, links, handlers
        finally:
            for link in links:
                await link.stop()


async def until(reached, seconds: float = 10.0) -> float:
    """Wait; how long it took, s."""
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < seconds, "not in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


async def works(dcss: DcssSimulator) -> None:
    run = await dcss.engine.completed(dcss.engine.start_operation("helloWorld", "a {b c} 7"), 5.0)
    assert (run.status, run.result) == ("normal", "a b c 7")


def test_all_devices_are_registered_in_the_order_of_the_database() -> None:
    async def main() -> None:
        async with linked() as (dcss, [link], [handler]):
            await until(lambda: len(handler.taken) >= len(dcss.dcss.devices))
            assert handler.registrations == list(dcss.dcss.devices)
            # The line ends of registrations are gone; a string has the hardware name that all have.
            assert (
                next(m.text for m in handler.taken if m.words[0] == "detectorStatus") == "detectorStatus standardString"
            )
            assert link.state == "online" and link.logins == 1 and link.received == len(dcss.dcss.devices)
            await works(dcss)
            assert dcss.violations == []

    asyncio.run(main())


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_link_that_dcss_ends_is_back_within_a_second(how: str) -> None:
    async def main() -> None:
        async with linked() as (dcss, [link], [handler]):
            await works(dcss)
            dcss.hardware.drop("loop", how)
            began = time.monotonic()
            await dcss.offline("loop")
            await dcss.online("loop")
            assert time.monotonic() - began < 1.0
            await works(dcss)
            assert handler.events == ["in 1", "lost", "in 2"] and link.losses == 1 and link.generation == 2
            assert handler.registrations == list(dcss.dcss.devices) * 2
            assert dcss.violations == []

    asyncio.run(main())


def test_a_reset_among_replies_is_survived_and_no_old_handle_is_answered() -> None:
    async def main() -> None:
        async with linked() as (dcss, [link], _):
            dcss.hardware.faults.reset_at = 3
            runs = [dcss.engine.start_operation("helloWorld", str(number)) for number in range(9)]
            for run in runs:
                await dcss.engine.completed(run)
            # DCSS has ended by itself what it had no answer to.
            assert [run.status for run in runs] == ["normal"] * 2 + ["no_hw_host_loop"] * 7
            await dcss.online("loop")
            await works(dcss)
            assert dcss.violations == [] and link.logins == 2

    asyncio.run(main())


def test_what_was_asked_before_a_loss_is_never_answered_after_it() -> None:
    async def main() -> None:
        async with linked() as (dcss, [link], [handler]):
            handler.hold = True
            run = dcss.engine.start_operation("slowOp", "4")
            await until(lambda: any(each.command == "stoh_start_operation" for each in handler.taken))
            asked, generation = handler.taken[-1], link.generation
            dcss.hardware.drop("loop")
            await dcss.offline("loop")
            assert (await dcss.engine.completed(run)).status == "no_hw_host_loop"
            await until(lambda: link.state != "online")
            assert not handler.answer(asked, generation), "while it is away"
            await dcss.online("loop")
            await until(lambda: link.is_online)
            assert not handler.answer(asked, generation), "when it is back"
            assert link.dropped_stale == 2 and link.generation == generation + 1
            await until(lambda: link.received >= 2 * len(dcss.dcss.devices))
            assert dcss.violations == []

    asyncio.run(main())


def test_a_dcss_that_takes_connections_and_closes_them_is_tried_again() -> None:
    async def main() -> None:
        async with linked() as (dcss, [link], [handler]):
            dcss.hardware.faults.close_next = 2
            dcss.hardware.drop("loop")
            await dcss.offline("loop")
            await dcss.online("loop", 5.0)
            await works(dcss)
            # Connections that came to no login are no losses.
            assert link.losses == 1 and handler.events == ["in 1", "lost", "in 2"]

    asyncio.run(main())


def test_a_dcss_that_was_away_is_found_within_a_second_of_its_return() -> None:
    async def main() -> None:
        async with linked() as (dcss, [_link], _):
            await dcss.hardware.away(3.0, "reset")
            began = time.monotonic()
            await dcss.online("loop")
            assert time.monotonic() - began < 1.0
            await works(dcss)

    asyncio.run(main())


def test_a_name_that_dcss_does_not_know_is_tried_less_and_less_often() -> None:
    async def main() -> None:
        handler = Answering()
        async with DcssSimulator() as dcss:
            link = DhsLink("127.0.0.1", dcss.port, "deicer", handler)
            await link.start()
            await until(lambda: len(dcss.hardware.refused) == 3)
            began = time.monotonic()
            await until(lambda: len(dcss.hardware.refused) == 4)
            assert time.monotonic() - began > 0.6  # 0.2, 0.4, 0.8 s, each within 20 %
            await link.stop()
            assert handler.events == [] and link.logins == 0 and link.state == "stopped"

    asyncio.run(main())


def test_a_dcss_without_devices_for_a_server_has_taken_its_login_when_nothing_more_comes() -> None:
    async def main() -> None:
        database = Database.of({"hosts": {"deicer": {}}, "devices": []})
        async with linked(database=database, names=["deicer"]) as (_dcss, [link], [handler]):
            assert await until(lambda: link.is_online) > 3.0  # the last reason to refuse needs 3 s
            assert handler.events == ["in 1"]

    asyncio.run(main())


def test_the_login_is_answered_while_eight_operations_calculate() -> None:
    async def main() -> None:
        async with linked() as (dcss, _links, _):
            # The simulated DCSS, too, waits for its turn among them, on a machine that others use.
            dcss.hardware.login_s = 5.0
            loop, over = asyncio.get_running_loop(), threading.Event()

            def calculate() -> None:
                while not over.is_set():
                    sum(range(1000))

            with ThreadPoolExecutor(8) as executor:
                busy = [loop.run_in_executor(executor, calculate) for _ in range(8)]
                try:
                    dcss.hardware.drop("loop")
                    await dcss.offline("loop")
                    await dcss.online("loop")
                    assert not any(each.done() for each in busy)
                finally:
                    over.set()
                await asyncio.gather(*busy)
            assert dcss.hardware.refused == []

    asyncio.run(main())


def test_several_servers_of_one_process_have_links_of_their_own() -> None:
    async def main() -> None:
        operations = [{"kind": "operation", "name": f"{host}Op", "host": host} for host in ("loop", "deicer")]
        database = Database.of({"hosts": {"loop": {}, "deicer": {}}, "devices": operations})
        async with linked(database=database, names=["loop", "deicer"]) as (dcss, links, handlers):
            dcss.hardware.drop("loop")
            await dcss.offline("loop")
            await dcss.online("loop")
            runs = [dcss.engine.start_operation(f"{host}Op", "1") for host in ("loop", "deicer")]
            for run in runs:
                assert (await dcss.engine.completed(run)).status == "normal"
            assert [link.logins for link in links] == [2, 1]
            assert [len(handler.registrations) for handler in handlers] == [2, 1]

    asyncio.run(main())


@pytest.mark.parametrize("protocol", [0, 1])
def test_a_server_of_the_first_protocol_talks_in_frames_of_200_bytes(protocol: int) -> None:
    async def main() -> None:
        database = Database.of(
            {
                "hosts": {"loop": {"protocol": 1}},
                "devices": [{"kind": "operation", "name": "helloWorld", "host": "loop"}],
            }
        )
        async with linked(LinkSettings(protocol=protocol), database=database) as (dcss, [link], _):
            await works(dcss)
            with pytest.raises(BadValueError, match="longer than 199"):
                link.send("htos_operation_update", ["helloWorld", "1.1"], rest="x" * 180)
            assert dcss.violations == []

    asyncio.run(main())


def test_pauses_within_frames_and_garbage_behind_the_first_text_cost_nothing() -> None:
    async def main() -> None:
        async with linked() as (dcss, [link], [handler]):
            dcss.hardware.faults.padding = 0xE9
            dcss.hardware.faults.pause_s = 0.15
            dcss.hardware.drop("loop")
            await dcss.offline("loop")
            await dcss.online("loop")
            await works(dcss)
            assert handler.registrations == list(dcss.dcss.devices) * 2 and link.losses == 1

    asyncio.run(main())


def test_a_stream_out_of_step_is_left_and_made_anew() -> None:
    async def main() -> None:
        async with linked() as (dcss, [link], _):
            next(iter(dcss.hardware.connections)).send_raw(b"stoh_start_operation helloWorld 1.77\0")
            await dcss.offline("loop")
            await dcss.online("loop")
            await works(dcss)
            assert "is not two sizes" in link.last_loss

    asyncio.run(main())


def test_a_handler_that_fails_at_one_message_gets_the_others(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Answering):
        def take(self, message: Message) -> None:
            if message.words[0] == "slowOp":
                raise ZeroDivisionError("slowOp")
            super().take(message)

    async def main() -> None:
        handler = Failing()
        async with DcssSimulator() as dcss:
            link = DhsLink("127.0.0.1", dcss.port, "loop", handler)
            await link.start()
            await dcss.online("loop")
            dcss.engine.start_operation("slowOp")
            await works(dcss)
            await link.stop()

    asyncio.run(main())
    assert "ZeroDivisionError" in caplog.text


def test_what_is_sent_last_leaves_before_a_link_is_stopped() -> None:
    async def main() -> None:
        async with linked() as (dcss, [link], _):
            await until(lambda: link.is_online)
            for number in range(500):
                assert link.send("htos_note", ["loop", number])
            await link.stop()
            await dcss.offline("loop")
            notes = [text for _, _, text in dcss.dcss.messages if text.startswith("htos_note")]
            assert len(notes) == 500 and notes[-1] == "htos_note loop 499"

    asyncio.run(main())


def test_a_record_tells_what_went_over_the_wire_but_no_session(tmp_path: Path) -> None:
    async def main() -> None:
        record = WireRecord(tmp_path / "wire.jsonl")
        async with DcssSimulator() as dcss:
            link = DhsLink("127.0.0.1", dcss.port, "loop", Answering(), record=record)
            await link.start()
            await dcss.online("loop")
            run = dcss.engine.start_operation("helloWorld", "PRIVATE0123456789 2")
            await dcss.engine.completed(run)
            assert "stoh_start_operation helloWorld 1.1 PRIVATE0123456789 2" in [
                text for _, _, text in dcss.dcss.messages
            ]
            await link.stop()
        record.close()

    asyncio.run(main())
    lines = list(read_record(tmp_path / "wire.jsonl"))
    assert [line.direction for line in lines] == ["link"] + ["in"] * 14 + ["out", "link"]
    assert lines[-3].text == "stoh_start_operation helloWorld 1.1 PRIVATE... 2"
    assert lines[-1].text == "lost: ended here"
    assert "0123456789" not in (tmp_path / "wire.jsonl").read_text()


def test_a_host_that_says_nothing_after_its_connection_is_left() -> None:
    async def main() -> None:
        asked = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.read() == b""
            asked.set()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        link = DhsLink("127.0.0.1", server.sockets[0].getsockname()[1], "loop", Answering())
        await link.start()
        await asyncio.wait_for(asked.wait(), 5.0)
        await link.stop()
        server.close()

    asyncio.run(main())


def test_a_dcss_that_stops_reading_is_left_before_memory_is_full() -> None:
    async def main() -> None:
        held = asyncio.Event()

        async def frozen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(encode_login("stoc_send_client_type"))
            assert (await reader.readexactly(LOGIN_BYTES)).startswith(b"htos_client_is_hardware loop\0")
            writer.write(encode_frame("stoh_register_operation helloWorld helloWorld\n"))
            writer.transport.pause_reading()
            await held.wait()
            writer.close()

        server = await asyncio.start_server(frozen, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        link = DhsLink("127.0.0.1", port, "loop", Answering(), LinkSettings(max_unsent_bytes=100_000))
        await link.start()
        await until(lambda: link.is_online)
        sent = 0
        while link.send("htos_note", ["loop"], rest="x" * 1000):
            sent += 1
            assert sent < 100_000
        await until(lambda: "unread" in link.last_loss)
        held.set()
        await link.stop()
        server.close()

    asyncio.run(main())
