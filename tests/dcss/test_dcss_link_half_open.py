"""The cable to DCSS is pulled: nobody says so, and the link of a hardware server finds out."""

import asyncio
import time

from devices.dcss.dhs_link import DhsLink, LinkSettings
from devices.dcss.handler import DhsHandler, Message, Sender
from tests.support.other_host import OtherHost, other_host

__all__ = ["other_host"]

DCSS = """
import asyncio, sys
from devices.simulators.dcss import Database, DcssSimulator
async def main():
    hosts = {"loop": {"computer": sys.argv[2]}}
    database = Database.of({"hosts": hosts, "devices": [{"kind": "string", "name": "status", "host": "loop"}]})
    async with DcssSimulator(database, host=sys.argv[1]) as dcss:
        print(dcss.port, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


class Ignoring(DhsHandler):
    def logged_in(self, sender: Sender) -> None:
        pass

    def lost(self, reason: str) -> None:
        pass

    def take(self, message: Message) -> None:
        pass


def test_a_pulled_cable_is_noticed_and_the_link_is_back_when_it_is_in_again(other_host: OtherHost) -> None:
    dcss = other_host.start(DCSS, other_host.there, other_host.here)
    try:
        assert dcss.stdout is not None
        asyncio.run(pull(other_host, int(dcss.stdout.readline())))
    finally:
        dcss.kill()
        dcss.wait()


async def pull(other_host: OtherHost, port: int) -> None:
    link = DhsLink(other_host.there, port, "loop", Ignoring(), LinkSettings(dead_after_s=2.0))
    await link.start()
    await until(lambda: link.is_online)
    other_host.cut()
    # Nothing is sent: only the probes of the operating system can find out.
    await until(lambda: not link.is_online)
    assert link.losses == 1
    other_host.cut(False)
    await until(lambda: link.is_online)
    assert link.logins == 2
    await link.stop()


async def until(reached) -> None:
    deadline = time.monotonic() + 20.0
    while not reached():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)
