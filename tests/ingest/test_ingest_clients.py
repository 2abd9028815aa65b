"""Clients: the nodes' own as it always was, the one of this project, and many at a time."""

from __future__ import annotations

import asyncio
import http.client
from typing import Any

import numpy as np
import pytest
import urllib3

from devices.core.errors import NotConnectedError, TimeoutError
from devices.correlator.gulp import GulpShape
from devices.drivers.correlator_client import CorrelatorClient
from devices.drivers.correlator_message import MessageName, Receipt
from tests.ingest.station import ISOT, LATER, node_body, serving, sub_band, until

FIELDS = {
    "Host": "10.41.0.254:8843",
    "User-Agent": "curl/7.78.0",
    "Accept": "*/*",
    "Referer": "rbose",
    "Expect": "100-continue",
}


class OldClient:
    """What nodes do: PUT with urllib3, look at the second-last character, send again on bits 0, 1 and 2."""

    def __init__(self, port: int, retries: int = 5) -> None:
        self._pool = urllib3.PoolManager()
        self._url, self._retries = f"http://127.0.0.1:{port}", retries
        self.sends = 0

    def put(self, target: str, bodies: list[bytes]) -> int:
        """The last digit; ``bodies``: of one send after the other, the last one for all that follow."""
        digit = -1
        for attempt in range(self._retries):
            body = bodies[min(attempt, len(bodies) - 1)]
            fields = FIELDS | {"Content-Length": str(len(body))}
            answer = self._pool.request(
                "PUT", self._url + target, body=body, headers=fields, timeout=15.0, retries=5, redirect=False
            )
            self.sends += 1
            digit = int(answer.data.decode("utf-8")[-2])
            if not digit & 7:
                break
        return digit


def test_an_old_client_sends_again_until_its_sub_band_is_whole():
    async def check():
        async with serving() as station:
            old = OldClient(station.port)
            damaged = [b"\0" + node_body(1)[1:], node_body(1)[:-1], node_body(1)]
            assert await asyncio.to_thread(old.put, f"/sb01_IMG{ISOT}.npy", damaged) == 0
            assert old.sends == 3
            for channel in (0, 2):
                await asyncio.to_thread(old.put, f"/sb{channel:02d}_IMG{ISOT}.npy", [node_body(channel)])
            assert len(station.gulps) == 1 and station.gulps[0].cube[:, 0, 0, 0].tolist() == [0.0, 1000.0, 2000.0]
            node = station.nodes[1]
            assert (node.refused, node.resent, node.stored) == (2, 2, 1)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("body", "policy", "digit", "sends"),
    [
        (node_body(1, GulpShape(3, 5, 5)), {}, 6, 5),  # another shape: it stays wrong
        (bytes(9_000_000), {}, 2, 5),  # refused before it is sent
        (node_body(1), {"late": "refuse"}, 8, 1),
        (node_body(1), {"late": "drop"}, 0, 1),
    ],
)
def test_an_old_client_finds_its_digit_in_whatever_it_is_answered(body, policy, digit, sends):
    async def check():
        async with serving(policy={"wait_s": 0.05, **policy}) as station:
            old = OldClient(station.port)
            await asyncio.to_thread(old.put, f"/sb00_IMG{ISOT}.npy", [node_body(0)])
            await until(lambda: bool(station.gulps))
            old.sends = 0
            assert await asyncio.to_thread(old.put, f"/sb01_IMG{ISOT}.npy", [body]) == digit
            assert old.sends == sends
            assert len(station.gulps) == 1

    asyncio.run(check())


def test_http_client_keeps_its_connection():
    def send(port: int) -> list[tuple[int, bytes]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        answers = []
        for isot in (ISOT, LATER):
            connection.request("PUT", f"/sb01_IMG{isot}.npy", body=node_body(1), headers={"Expect": "100-continue"})
            answer = connection.getresponse()
            answers.append((answer.status, answer.read()))
        connection.close()
        return answers

    async def check():
        async with serving() as station:
            received = await asyncio.to_thread(send, station.port)
            assert received == [(200, b"File Received, Process Server Status: 0\n")] * 2

    asyncio.run(check())


class Damaging(CorrelatorClient):
    """Damages the first sends."""

    def __init__(self, *arguments: Any, damage: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.damage = damage

    async def send(self, name: MessageName, body: Any) -> tuple[int, str]:
        if self.damage:
            self.damage -= 1
            body = [*body[:-1], body[-1][:-1]]
        return await super().send(name, body)


@pytest.mark.parametrize(("damage", "sends", "receipt"), [(0, 1, 0), (4, 5, 0), (5, 5, 2), (99, 5, 2)])
def test_the_client_sends_damaged_sub_bands_again_five_times_at_most(damage, sends, receipt):
    async def check():
        async with serving() as station:
            client = Damaging("127.0.0.1", station.port, damage=damage)
            delivery = await client.put_array(MessageName(1, ISOT), sub_band(1))
            assert (delivery.sends, delivery.receipt, delivery.accepted) == (sends, Receipt(receipt), not receipt)
            for channel in (0, 2):
                assert (await station.client().put_array(MessageName(channel, ISOT), sub_band(channel))).accepted
            assert len(station.gulps) == (not receipt)
            client.close()

    asyncio.run(check())


def test_the_client_sends_any_array_and_stays_on_its_connection():
    async def check():
        async with serving() as station:
            client = station.client()
            arrays = [sub_band(0).astype(">i4"), np.asfortranarray(sub_band(1)), sub_band(2)[::1].astype(np.float32)]
            for isot in (ISOT, LATER):
                for channel, array in enumerate(arrays):
                    delivery = await client.put_array(MessageName(channel, isot, 382.5, 71.25), array)
                    assert delivery.accepted and delivery.text == "File Received, Process Server Status: 0"
            assert station.service.connections == 1 and len(station.gulps) == 2
            np.testing.assert_array_equal(station.gulps[1].cube[1], sub_band(1).transpose(2, 0, 1))

    asyncio.run(check())


def test_the_client_says_what_is_wrong_with_its_link():
    async def check():
        async with serving() as station:
            port = station.port
        with pytest.raises(NotConnectedError, match=str(port)):
            await CorrelatorClient("127.0.0.1", port, tries=2).put(MessageName(1, ISOT), [b"x"])
        silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
            await CorrelatorClient("127.0.0.1", port, timeout_s=0.1, tries=2).put(MessageName(1, ISOT), [b"x"])
        silent.close()

    asyncio.run(check())


def test_the_client_tells_its_token_and_connects_again_after_the_server_ended():
    async def check():
        async with serving(token="horse", idle_s=0.1) as station:
            client = station.client(token="horse")
            assert (await client.put_array(MessageName(1, ISOT), sub_band(1))).accepted
            await until(lambda: station.service.connections == 0)
            assert (await client.put_array(MessageName(2, ISOT), sub_band(2))).accepted
            assert (await station.client().put_array(MessageName(0, ISOT), sub_band(0))).status == 401

    asyncio.run(check())


def test_the_client_tries_again_what_had_no_place():
    async def check():
        async with serving(slots=1, policy={"when_full": "refuse"}) as station:
            client = station.client(tries=50)
            await client.put_array(MessageName(0, ISOT), sub_band(0))
            waiting = asyncio.create_task(client.put_array(MessageName(0, LATER), sub_band(0)))
            await until(lambda: station.assembler.counts.no_slot > 0)
            station.assembler.end_all()
            delivery = await waiting
            assert delivery.accepted and delivery.sends > 1

    asyncio.run(check())


def test_sixteen_nodes_send_at_once_and_nothing_is_lost():
    async def check():
        shape = GulpShape(channels=16, samples=7, size=40)
        gulps = [f"2026-11-21T03:12:{second:02d}.000" for second in range(0, 60, 3)]
        bodies = [node_body(channel, shape) for channel in range(16)]

        async def node(channel: int) -> None:
            client = station.client()
            for isot in gulps:
                assert (await client.put(MessageName(channel, isot), [bodies[channel]])).sends == 1
                await until(lambda wanted=isot: bool(station.gulps) and station.gulps[-1].isot == wanted)

        async with serving(shape, {"wait_s": 30.0}) as station:
            await asyncio.gather(*(node(channel) for channel in range(16)))
            assert [gulp.isot for gulp in station.gulps] == gulps
            expected = np.stack([sub_band(channel, shape).transpose(2, 0, 1) for channel in range(16)])
            assert all(np.array_equal(gulp.cube, expected) for gulp in station.gulps)
            assert all(node.stored == 20 and node.rate > 0 for node in station.nodes)
            assert station.service.connections <= 16

    asyncio.run(check())


def test_an_ingest_that_is_stopped_in_the_middle_of_a_message_leaves_nothing():
    async def check():
        async with serving() as station:
            _, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(f"PUT /sb01_IMG{ISOT}.npy HTTP/1.1\r\nContent-Length: 1568\r\n\r\n".encode() + bytes(700))
            await until(lambda: station.service.connections == 1)
            await station.service.stop()
            assert station.service.connections == 0 and station.assembler.open == 0
            await station.service.start()
            assert (await station.client().put_array(MessageName(1, ISOT), sub_band(1))).accepted
            writer.close()

    asyncio.run(check())
