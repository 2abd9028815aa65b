"""The PV socket: values with everything a panel shows, writes with their answers, and old PVWS clients."""

from __future__ import annotations

import asyncio
import base64
import math
from typing import Any

import aiohttp
import numpy as np
import pytest
from p4p.nt import NTScalar

from servers.web.update import encoded, value_of
from tests.web.page_socket import Site, connected, run


def test_the_first_message_says_which_facility_this_is(site: Site) -> None:
    async def work() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{site.address}/pvws/pv") as socket:
            hello = await socket.receive_json()
            assert (hello["type"], hello["protocol"], hello["facility"]) == ("hello", 1, "web")
            assert len(hello["token"]) >= 16
            assert hello["writable"] is True

    run(work())


def test_a_number_comes_with_unit_limits_bounds_time_and_severity(site: Site) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:Temperature", "ALL1:Temperature_RBV") as page:
            site.publish("position", 1.0)
            readback = await page.until("ALL1:Temperature_RBV", lambda update: "value" in update)
            assert (readback["vtype"], readback["units"], readback["severity"]) == ("VDouble", "K", "NONE")
            assert (readback["warn_low"], readback["warn_high"]) == (80.0, 110.0)
            assert (readback["alarm_low"], readback["alarm_high"]) == (70.0, 120.0)
            assert readback["readonly"] is True
            assert readback["connected"] is True
            assert readback["seconds"] > 1_700_000_000
            setpoint = await page.until("ALL1:Temperature", lambda update: not update["readonly"])
            assert (setpoint["drive_low"], setpoint["drive_high"]) == (0.0, 400.0)

    run(work())


def test_facts_are_sent_once_and_values_as_they_change(site: Site) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:Position_RBV") as page:
            await page.until("ALL1:Position_RBV", lambda update: "vtype" in update)
            site.publish("position", -3.25)
            message = await page.hear(lambda message: "-3.25" in str(message))
            (update,) = message["updates"]
            assert (update["pv"], update["value"]) == ("ALL1:Position_RBV", -3.25)
            assert "units" not in update
            assert update["readonly"] is True, "old clients want it in every update"

    run(work())


@pytest.mark.parametrize(
    ("volts", "quality", "severity"),
    [(1.5, "VALID", "NONE"), (6.5, "VALID", "MINOR"), (9.5, "VALID", "MAJOR"), (2.0, "INVALID", "INVALID")],
)
def test_a_severity_is_told(site: Site, volts: float, quality: str, severity: str) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:LevelB") as page:
            await page.until("ALL1:LevelB", lambda update: True)
            site.publish("level_b", volts, quality)
            await page.until("ALL1:LevelB", lambda update: update["severity"] == severity)

    run(work())


def test_an_array_comes_as_little_endian_base64(site: Site) -> None:
    async def work() -> None:
        numbers = np.array([1.5, -2.25, 1e-300, 1e300])
        site.proxy().write_attribute("numbers", numbers)
        async with connected(site, "ALL1:Numbers_RBV") as page:
            update = await page.until("ALL1:Numbers_RBV", lambda update: update.get("b64dbl"))
            assert update["vtype"] == "VDoubleArray"
            assert np.array_equal(np.frombuffer(base64.b64decode(update["b64dbl"]), "<f8"), numbers)

    run(work())


@pytest.mark.parametrize(
    ("pv", "written", "shown"),
    [
        ("AnInt32", 70_000, {"value": 70_000, "vtype": "VInt"}),
        ("AnInt64", str(2**60 + 1), {"text": str(2**60 + 1), "vtype": "VLong"}),
        ("AUint64", 2**64 - 1, {"text": str(2**64 - 1), "vtype": "VULong"}),
        ("AFloat64", "-2.5", {"value": -2.5}),
        ("AString", "Überdruck 3 µbar", {"text": "Überdruck 3 µbar", "vtype": "VString"}),
        ("ABool", "On", {"value": 1, "text": "On"}),
        ("Texts", ["one", "two"], {"texts": ["one", "two"], "vtype": "VStringArray"}),
        ("Numbers", [3, 4.5], {"vtype": "VDoubleArray"}),
    ],
)
def test_what_a_page_writes_arrives_and_is_shown(site: Site, pv: str, written: Any, shown: dict[str, Any]) -> None:
    async def work() -> None:
        async with connected(site, f"ALL1:{pv}_RBV") as page:
            answer = await page.write(f"ALL1:{pv}", written)
            assert answer == {"type": "ack", "id": 1, "ok": True, "message": ""}
            await page.until(f"ALL1:{pv}_RBV", lambda update: shown.items() <= update.items())

    run(work())


@pytest.mark.parametrize(("number", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
def test_what_is_not_finite_is_no_number_in_json(number: float, text: str) -> None:
    content = value_of(NTScalar("d").wrap(number))
    assert content["value"] == text
    assert f'"value":"{text}"' in encoded(content)


def test_an_enumeration_has_its_labels_and_takes_an_index_or_a_label(site: Site) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:AnEnum") as page:
            update = await page.until("ALL1:AnEnum", lambda update: update.get("labels"))
            second = update["labels"][1]
            assert (await page.write("ALL1:AnEnum", 1))["ok"]
            await page.until("ALL1:AnEnum", lambda update: (update["value"], update["text"]) == (1, second))
            assert (await page.write("ALL1:AnEnum", update["labels"][0], 2))["ok"]
            await page.until("ALL1:AnEnum", lambda update: update["value"] == 0)
            refused = await page.write("ALL1:AnEnum", "no such filter", 3)
            assert refused["ok"] is False
            assert second in refused["message"]

    run(work())


@pytest.mark.parametrize(
    ("pv", "written", "why"),
    [
        ("ALL1:Temperature", 500, "500.0 K is outside [0.0, 400.0] K"),
        ("ALL1:Temperature", "12.50 K", "ALL1:Temperature = '12.50 K' is not a number"),
        ("ALL1:AnInt16", 3.5, "is not a whole number"),
        ("ALL1:AUint8", 300, "ALL1:AUint8 = 300 is outside [0, 255]"),
        ("ALL1:ABool", "perhaps", "is neither on nor off"),
        ("ALL1:Temperature", None, "is not a single value"),
        ("ALL1:Temperature_RBV", 5, "ALL1:Temperature_RBV"),
        ("sim://noise", 5, "is not a PV that can be written"),
    ],
)
def test_a_write_that_is_refused_says_why(site: Site, pv: str, written: Any, why: str) -> None:
    async def work() -> None:
        before = site.proxy().temperature
        async with connected(site) as page:
            answer = await page.write(pv, written, 7)
            assert (answer["id"], answer["ok"]) == (7, False)
            assert why in answer["message"]
        assert site.proxy().temperature == before

    run(work())


def test_an_operation_is_acknowledged_at_its_end_while_other_writes_go_on(site: Site) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:Expose:Status") as page:
            await page.write("ALL1:Expose:Seconds", 1.0)
            await page.say(type="write", pv="ALL1:Expose:Run", value=1, id=50, token=page.token)
            await page.until("ALL1:Expose:Status", lambda update: update["text"] == "RUNNING")
            assert (await page.write("ALL1:Gain", 2.5, 51))["ok"], "answered before the operation is over"
            busy = await page.write("ALL1:Expose:Run", 1, 52)
            assert "BusyError" in busy["message"]
            done = await page.hear(lambda message: message.get("id") == 50)
            assert done["ok"] is True
            await page.until("ALL1:Expose:Status", lambda update: update["text"] == "DONE")

    run(work())


def test_stop_does_not_wait_behind_an_operation(site: Site) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:Expose:Status") as page:
            await page.write("ALL1:Expose:Seconds", 60.0)
            await page.say(type="write", pv="ALL1:Expose:Run", value=1, id=60, token=page.token)
            await page.until("ALL1:Expose:Status", lambda update: update["text"] == "RUNNING")
            assert (await page.write("ALL1:Abort", "1", 61))["ok"]
            ended = await page.hear(lambda message: message.get("id") == 60)
            assert ended["ok"] is False
            assert "Aborted" in ended["message"]

    run(work())


@pytest.mark.parametrize("unconfirmed", [{}, {"confirmed": False}, {"confirmed": "no"}])
def test_something_dangerous_runs_only_when_it_was_confirmed(site: Site, unconfirmed: dict[str, Any]) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:Fail:Status", "ALL1:Fail") as page:
            command = await page.until("ALL1:Fail", lambda update: not update["readonly"])
            assert command["confirm"] == "Fail: really?"
            before = await page.until("ALL1:Fail:Status", lambda update: "seconds" in update)
            stamp = before["seconds"], before["nanos"]
            refused = await page.write("ALL1:Fail", 1, 70, **unconfirmed)
            assert refused["ok"] is False
            assert refused["message"] == "ALL1:Fail runs something dangerous: it must be confirmed, and was not"
            after = page.state["ALL1:Fail:Status"]
            assert (after["seconds"], after["nanos"]) == stamp
            failed = await page.write("ALL1:Fail", 1, 71, confirmed=True)
            assert "no such luck" in failed["message"], "it ran"

    run(work())


def test_a_command_is_called_with_its_arguments_at_once(site: Site) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:Add") as page:
            await page.until("ALL1:Add", lambda update: not update["readonly"])
            added = await page.call("ALL1:Add", {"first": 1.5, "second": 3}, 80)
            assert (added["ok"], added["result"]) == (True, 4.5)
            assert (await page.call("ALL1:Reverse", {"text": "Kühlung"}, 81))["result"] == "gnulhüK"

    run(work())


@pytest.mark.parametrize(
    ("pv", "arguments", "why"),
    [
        ("ALL1:Add", {"second": 3}, "first"),
        ("ALL1:Add", {"first": 1.0, "third": 3}, "third"),
        ("ALL1:Add", {"first": [1, 2]}, "first = [1, 2] is not an argument of a command"),
        ("ALL1:Add", {"first": 1 << 70}, "is not an argument of a command"),
        ("ALL1:Add", {"a b": 1}, "a b = 1 is not an argument of a command"),
        ("ALL1:Add", "all", "'all' are not values by name"),
        ("ALL1:Temperature_RBV", {}, "ALL1:Temperature_RBV"),
        ("ALL1:Fail", {}, "it must be confirmed, and was not"),
    ],
)
def test_a_call_that_is_refused_says_why(site: Site, pv: str, arguments: Any, why: str) -> None:
    async def work() -> None:
        async with connected(site, pv) as page:
            refused = await page.call(pv, arguments, 82)
            assert refused["ok"] is False
            assert why in refused["message"]
            refused = await page.call("ALL1:Add", {"first": 1.0}, 83, token="of nobody")
            assert refused["ok"] is False

    run(work())


def test_a_pv_that_does_not_exist_is_told(site: Site) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:Temperatur", "loc://x") as page:
            update = await page.until("ALL1:Temperatur", lambda update: update.get("reason"))
            assert (update["connected"], update["reason"]) == (False, "there is no PV of this name")
            assert (await page.until("loc://x", lambda update: True))["connected"] is False

    run(work())


def test_an_old_client_without_hello_token_or_ids_is_served(site: Site) -> None:
    """As cs-web-lib speaks: one PV for each message, a scheme before the name, values as text, no acknowledgement."""

    async def work() -> None:
        async with connected(site, hello=False) as page:
            await page.say(type="subscribe", pvs=["sim://flipflop(29.929)"])
            await page.say(type="subscribe", pvs=["ca://ALL1:Gain"])
            update = await page.hear(lambda message: message.get("pv") == "ca://ALL1:Gain")
            assert update["type"] == "update", "never in a batch"
            await page.say(type="write", pv="ca://ALL1:Gain", value="33.3")
            await page.until("ca://ALL1:Gain", lambda update: update.get("value") == 33.3)
            await page.say(type="write", pv="ca://ALL1:Gain", value="33.3 V")
            error = await page.hear(lambda message: message.get("type") == "error")
            assert "'33.3 V' is not a number" in error["message"]
            await page.say(type="list")
            listed = await page.hear(lambda message: message.get("type") == "list")
            assert listed["pvs"] == ["ca://ALL1:Gain"]
            await page.say(type="clear", pvs=["ca://ALL1:Gain"])
            await page.say(type="echo", n=3)
            assert (await page.hear(lambda message: message.get("type") == "echo"))["n"] == 3

    run(work())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"type": 5}', '{"pvs": []}', "[" * 100_000, '{"type": "nothing"}']
)
def test_nonsense_ends_nothing(site: Site, text: str) -> None:
    async def work() -> None:
        async with connected(site) as page:
            await page.socket.send_str(text)
            await page.say(type="subscribe", pvs=[None, 5, "", "x" * 5000, "ALL1:Gain"])
            await page.until("ALL1:Gain", lambda update: "value" in update)

    run(work())


def test_a_write_with_the_token_of_nobody_is_refused(site: Site) -> None:
    async def work() -> None:
        async with connected(site) as page:
            page.token = "guessed"
            answer = await page.write("ALL1:Gain", 5)
            assert answer["ok"] is False
            assert "token" in answer["message"]

    run(work())


def test_two_pages_see_the_same_and_one_that_leaves_does_not_matter(site: Site) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:Gain") as first:
            async with connected(site, "ALL1:Gain") as second:
                await second.until("ALL1:Gain", lambda update: "value" in update)
                assert (await second.write("ALL1:Gain", 7.5))["ok"]
                await first.until("ALL1:Gain", lambda update: update.get("value") == 7.5)
            assert (await first.write("ALL1:Gain", 8.5))["ok"]
            await first.until("ALL1:Gain", lambda update: update.get("value") == 8.5)

    run(work())


def test_a_slow_page_is_sent_nothing_until_it_has_drawn_and_then_the_newest(site: Site) -> None:
    async def work() -> None:
        async with connected(site, hello=False) as page:
            await page.say(type="hello", protocol=1, batch=True, credit=True)
            await page.say(type="subscribe", pvs=["ALL1:Position_RBV"])
            await page.until("ALL1:Position_RBV", lambda update: True)
            for number in range(1, 6):
                site.publish("position", float(number))
            await page.say(type="echo", n=1)
            heard = await page.hear(lambda message: True)
            while heard["type"] == "updates":  # those of the beginning, before it asked for credits
                heard = await page.hear(lambda message: True)
            assert heard["type"] == "echo"
            await page.say(type="credit")
            while page.state["ALL1:Position_RBV"].get("value") != 5.0:  # it may still be on its way to the web server
                await page.hear(lambda message: message.get("type") == "updates")
                await page.say(type="credit")

    run(work())


def test_a_burst_is_thinned_out_and_its_last_value_comes(site: Site) -> None:
    async def work() -> None:
        async with connected(site, "ALL1:Fast") as page:
            await page.until("ALL1:Fast", lambda update: True)
            await asyncio.to_thread(site.proxy().command_inout, "flood", '{"count": 3000, "period": 0.0002}')
            messages = 0

            def last(message: Any) -> bool:
                nonlocal messages
                messages += 1
                return page.state["ALL1:Fast"].get("value") == 2999.0

            await page.hear(last)
            assert messages < 500

    run(work())
