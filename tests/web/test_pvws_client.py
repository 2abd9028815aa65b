"""What an existing PVWS client says, message by message: the web components of Diamond, versions 0.9.14 and 0.10.24.

Source:
    @diamondlightsource/cs-web-lib: one PV in each subscribe, a heartbeat PV, labels from a combo box, an index from
    choice buttons, numbers as the text that was typed, no ``id`` and no ``hello``.
"""

from __future__ import annotations

import aiohttp

from tests.web.page_socket import PageSocket, Site, connected, run

HEARTBEAT = "sim://flipflop(29.929)"


async def shown(page: PageSocket, pv: str) -> list[str]:
    """The labels of an enumeration, once it is known."""
    return list((await page.until(pv, lambda update: update.get("labels")))["labels"])


def test_the_first_update_has_all_that_a_widget_shows_and_every_one_the_rights(site: Site) -> None:
    async def work() -> None:
        async with connected(site, hello=False) as page:
            await page.say(type="subscribe", pvs=[HEARTBEAT])
            await page.say(type="subscribe", pvs=["ca://ALL1:Temperature"])
            first = await page.hear(lambda message: message.get("pv") == "ca://ALL1:Temperature")
            assert first["vtype"] == "VDouble"
            assert (first["units"], first["warn_low"], first["warn_high"]) == ("K", 80.0, 110.0)
            assert (first["alarm_low"], first["alarm_high"]) == (70.0, 120.0)
            assert first["severity"] == "NONE"
            for number in (300.25, 12.5):
                await page.say(type="write", pv="ca://ALL1:Temperature", value=number)
                update = await page.hear(lambda message, number=number: message.get("value") == number)
                assert update["type"] == "update", "never in a batch"
                assert update["readonly"] is False
            await page.say(type="subscribe", pvs=["pva://ALL1:LevelB"])
            for volts in (1.5, 1.25):
                site.publish("level_b", volts)
                update = await page.hear(lambda message, volts=volts: message.get("value") == volts)
                assert (update["pv"], update["readonly"]) == ("pva://ALL1:LevelB", True)

    run(work())


def test_an_enumeration_takes_the_label_of_a_combo_box_and_the_index_of_a_choice_button(site: Site) -> None:
    async def work() -> None:
        async with connected(site, hello=False) as page:
            pv = "ca://ALL1:AnEnum"
            await page.say(type="subscribe", pvs=[pv])
            labels = await shown(page, pv)
            for value, index in ((labels[2], 2), (1, 1), ("0", 0)):
                await page.say(type="write", pv=pv, value=value)
                update = await page.until(pv, lambda update, index=index: update.get("value") == index)
                assert update["text"] == labels[index]
            await page.say(type="write", pv=pv, value="ultraviolet")
            error = await page.hear(lambda message: message.get("type") == "error")
            assert labels[1] in error["message"]

    run(work())


def test_a_number_comes_as_text_and_what_is_left_over_is_refused(site: Site) -> None:
    async def work() -> None:
        async with connected(site, hello=False) as page:
            pv = "ca://ALL1:Temperature"
            await page.say(type="subscribe", pvs=[pv])
            await page.say(type="write", pv=pv, value=" 33.3 ")
            await page.until(pv, lambda update: update.get("value") == 33.3)
            for typed, why in (
                ("12.50 K", "is not a number"),
                ("", "is not a number"),
                ("401", "outside [0.0, 400.0]"),
            ):
                await page.say(type="write", pv=pv, value=typed)
                error = await page.hear(lambda message: message.get("type") == "error")
                assert why in error["message"]
                assert "ALL1:Temperature" in error["message"]
            await page.say(type="write", pv=pv)  # a DType without a value
            assert (await page.hear(lambda message: message.get("type") == "error"))["message"]
            assert page.state[pv]["value"] == 33.3

    run(work())


def test_a_client_that_cannot_confirm_cannot_run_what_is_dangerous(site: Site) -> None:
    async def work() -> None:
        async with connected(site, hello=False) as page:
            await page.say(type="write", pv="ca://ALL1:Fail", value="1")
            error = await page.hear(lambda message: message.get("type") == "error")
            assert "ca://ALL1:Fail runs something dangerous" in error["message"]

    run(work())


def test_list_clear_echo_and_ping_are_answered_and_the_heartbeat_ends_nothing(site: Site) -> None:
    async def work() -> None:
        address = f"{site.address}/pvws/pv"
        async with aiohttp.ClientSession() as session, session.ws_connect(address, autoping=False) as socket:
            page = PageSocket(socket)
            await page.next()  # the greeting, which it does not know
            pvs = ["ca://ALL1:Gain", "ca://ALL1:Temperature"]
            for pv in (HEARTBEAT, *pvs, pvs[0]):
                await page.say(type="subscribe", pvs=[pv])
            await page.say(type="list")
            listed = await page.hear(lambda message: message.get("type") == "list")
            assert sorted(set(listed["pvs"]) - {HEARTBEAT}) == pvs
            await page.say(type="clear", pvs=[pvs[1]])
            await page.say(type="clear", pvs=[HEARTBEAT])
            await page.say(type="list")
            listed = await page.hear(lambda message: message.get("type") == "list")
            assert listed["pvs"] == [pvs[0]]
            echo = {"type": "echo", "text": "Grüße", "list": [1, None, {"a": 2.5}]}
            await page.say(**echo)
            assert await page.hear(lambda message: message.get("type") == "echo") == echo
            await page.say(type="ping")
            while (message := await socket.receive(10.0)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type is aiohttp.WSMsgType.PING

    run(work())
