"""The rules of the protocol: names, numbers, forms, codes; pictures as JSON; who may ask."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from devices.core.client import asked_by
from devices.core.errors import RefusedError
from devices.drivers.image_bytes import MEDIA_TYPE, ElementType, decode
from servers.alpaca import picture_answer
from servers.alpaca.settings import AlpacaSettings
from tests.alpaca.served import PREFIX, Served, on_server

NOT_IMPLEMENTED, INVALID_VALUE, NOT_CONNECTED, INVALID_OPERATION, DRIVER = 0x400, 0x401, 0x407, 0x40B, 0x500


def test_transactions_are_numbered(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        answers = [
            (await served.get("name", ClientID=7, ClientTransactionID=1234))[1],
            # Names of a query are caseless, those of a form are not.
            (await served.get("name", clientid=7, CLIENTTRANSACTIONID=4294967295))[1],
            (await served.put("connected", Connected="True", ClientTransactionID=99))[1],
            (await served.put("connected", Connected="true", clienttransactionid=99))[1],
            (await served.get("name"))[1],
            (await served.get("nosuchmember") and await served.get("name"))[1],
            (await served.ask("GET", "/management/apiversions?ClientTransactionID=5"))[1],
        ]
        assert [each["ClientTransactionID"] for each in answers] == [1234, 4294967295, 99, 0, 0, 0, 5]
        numbers = [each["ServerTransactionID"] for each in answers]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert "Value" not in answers[2] and answers[2]["ErrorMessage"] == ""

    on_server(tmp_path, test)


def test_what_is_no_request_of_the_protocol_is_400_with_a_reason(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await served.does("connected", Connected="True")
        for path, reason in (
            ("/api/v1/camera/0/nosuch", "no member nosuch"),
            ("/api/v1/camera/0/Name", "no member Name"),
            ("/api/v1/camera/0/startexposure", "no member startexposure for GET"),
            ("/api/v1/camera/1/name", "no device camera 1"),
            ("/api/v1/camera/00/name", "no device camera 00"),
            ("/api/v1/Camera/0/name", "no device Camera 0"),
            ("/api/v1/toaster/0/name", "no device toaster 0"),
            (f"{PREFIX}name?ClientID=-1", "ClientID = '-1' is not a whole number"),
            (f"{PREFIX}name?ClientID=four", "ClientID = 'four'"),
            (f"{PREFIX}name?ClientTransactionID=4294967296", "ClientTransactionID"),
            (f"{PREFIX}name?ClientTransactionID=", "ClientTransactionID"),
        ):
            status, text = await served.ask("GET", path)
            assert status == 400 and reason in text, (path, status, text)
        for member, form, reason in (
            ("binx", {}, "the parameter BinX is missing"),
            ("binx", {"binx": 2}, "the parameter BinX is missing"),
            ("binx", {"BinX": "two"}, "BinX = 'two' is not a whole number"),
            ("binx", {"BinX": "2.5"}, "is not a whole number"),
            ("binx", {"BinX": ""}, "is not a whole number"),
            ("startexposure", {"Duration": "1"}, "the parameter Light is missing"),
            ("startexposure", {"Duration": "nan", "Light": "True"}, "Duration = 'nan' is not a number"),
            ("startexposure", {"Duration": "1,5", "Light": "True"}, "Duration = '1,5' is not a number"),
            ("startexposure", {"Duration": "1", "Light": "yes"}, "Light = 'yes' is neither True nor False"),
            ("connected", {"Connected": "1"}, "Connected = '1' is neither True nor False"),
            ("cameraxsize", {}, "no member cameraxsize for PUT"),
            ("binx", {"BinX": "2", "ClientID": "x"}, "ClientID = 'x'"),
        ):
            status, text = await served.put(member, **form)
            assert status == 400 and reason in text, (member, form, status, text)
        status, text = await served.ask("PUT", f"{PREFIX}binx", json={"BinX": 2})
        assert status == 400 and "a form is expected" in text
        status, _ = await served.ask("PUT", f"{PREFIX}binx", data=b"BinX=" + b"1" * 100_000)
        assert status in (400, 413)
        assert await served.value("binx") == 1

    on_server(tmp_path, test)


def test_errors_of_the_camera_are_200_with_a_number(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        status, answer = await served.get("cameraxsize")
        assert (status, answer["ErrorNumber"]) == (200, NOT_CONNECTED) and "no client" in answer["ErrorMessage"]
        assert await served.refuses("startexposure", Duration=1, Light=True) == NOT_CONNECTED
        assert await served.value("interfaceversion") == 4, "that is known before"
        await served.does("connect", ClientID=5)
        assert await served.refuses("binx", BinX=99) == INVALID_VALUE
        assert await served.refuses("pulseguide", Direction=0, Duration=100) == NOT_IMPLEMENTED
        assert await served.refuses("commandstring", Command=":GR#", Raw=False) == NOT_IMPLEMENTED
        assert await served.refuses("gain", Gain=1) == NOT_IMPLEMENTED
        assert await served.refuses("readoutmode", ReadoutMode=1) == INVALID_VALUE
        await served.does("readoutmode", ReadoutMode=0)
        for member in ("imagearray", "lastexposureduration"):
            status, answer = await served.get(member)
            assert (status, answer["ErrorNumber"]) == (200, INVALID_OPERATION)
        served.camera.exposure.setup = served.camera.exposure.setup.changed({"gains": [1.5, 1.7, 1.9, 2.1]})
        assert await served.value("electronsperadu") == pytest.approx(1.8), "the mean of the amplifiers'"

    on_server(tmp_path, test)


def test_the_camera_stays_connected_until_its_last_client_has_gone(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await served.does("connected", Connected="True", ClientID=1)
        await served.does("connected", Connected="True", ClientID=2)
        await served.does("disconnect", ClientID=1)
        assert await served.value("connected") and not await served.value("connecting")
        await served.does("connected", Connected="False", ClientID=2)
        assert not await served.value("connected")

    on_server(tmp_path, test)


def test_a_picture_is_the_same_as_bytes_and_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Three pieces of 25, 25 and 10 columns of 40 rows.
    monkeypatch.setattr(picture_answer, "COLUMNS_PIXELS", 1000)
    monkeypatch.setattr(picture_answer, "PIECE", 1024)

    async def test(served: Served) -> None:
        await served.does("connected", Connected="True")
        await served.does("startexposure", Duration=0, Light="False")
        await served.becomes("imageready", True)
        url = f"http://{served.service.endpoint}{PREFIX}imagearray?ClientTransactionID=77"
        async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": MEDIA_TYPE}) as answer:
            assert answer.content_type == MEDIA_TYPE and answer.content_length == 44 + 2 * 60 * 40
            image = decode(await answer.read())
        assert image.pixels.shape == (40, 60) and image.pixels.dtype == np.uint16
        assert image.element_type is ElementType.INT32 and image.client_transaction == 77 and image.server_transaction
        _, answer_of = await served.get("imagearray", ClientTransactionID=78)
        assert (answer_of["Type"], answer_of["Rank"], answer_of["ClientTransactionID"]) == (2, 2, 78)
        assert answer_of["ErrorNumber"] == 0
        np.testing.assert_array_equal(np.array(answer_of["Value"]), image.pixels.T)
        assert (await served.get("imagearrayvariant"))[1]["Value"] == answer_of["Value"]

    on_server(tmp_path, test)


def test_pixels_beyond_words_of_32_bits_are_doubles_in_json() -> None:
    pixels = np.array([[1, 2, 4_000_000_000]], np.uint32)
    answer = json.loads(b"".join(picture_answer.json_pieces(pixels, 3, 4)))
    assert answer["Type"] == 3 and answer["Value"] == [[1], [2], [4_000_000_000]]
    assert (answer["ClientTransactionID"], answer["ServerTransactionID"]) == (3, 4)


def test_an_exposure_that_fails_tells_why(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await served.does("connected", Connected="True")
        served.camera.link.faults["read_image"] = RefusedError("the controller answered ?3F")
        await served.does("startexposure", Duration=0, Light="True")
        await served.becomes("camerastate", 5)
        status, answer = await served.get("imageready")
        assert (status, answer["ErrorNumber"]) == (200, DRIVER) and "?3F" in answer["ErrorMessage"]
        # The next one is none the worse for it.
        await served.does("startexposure", Duration=0, Light="True")
        await served.becomes("imageready", True)
        assert await served.value("camerastate") == 0

    on_server(tmp_path, test)


def test_what_keeps_an_exposure_from_beginning_is_told_at_once(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await served.does("connected", Connected="True")
        (tmp_path / "data" / "a.0001.fits").touch()
        status, answer = await served.put("startexposure", Duration=0, Light="True")
        assert (status, answer["ErrorNumber"]) == (200, INVALID_OPERATION)
        assert "a.0001.fits exists" in answer["ErrorMessage"]
        assert await served.value("camerastate") == 0

    on_server(tmp_path, test)


def test_exposures_of_others_show_and_exclude(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await served.does("connected", Connected="True")
        operation = await served.camera.start("expose", seconds=60.0, image_type="dark")
        await served.becomes("camerastate", 2)
        assert not await served.value("imageready")
        assert await served.refuses("startexposure", Duration=1, Light=True) == INVALID_OPERATION
        await served.does("abortexposure")
        assert (await served.camera.ended(operation))["state"] == "ABORTED"
        await served.becomes("camerastate", 0)

    on_server(tmp_path, test)


def test_a_camera_that_somebody_has_reserved_takes_no_exposure(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await served.does("connected", Connected="True")
        with asked_by("tango sequencer"):
            await served.camera.exposure.run("reserve", {"name": "night run", "seconds": 60.0})
        status, answer = await served.put("startexposure", Duration=0, Light="False")
        assert (status, answer["ErrorNumber"]) == (200, INVALID_OPERATION) and "night run" in answer["ErrorMessage"]
        assert await served.value("camerastate") == 0
        await served.does("abortexposure")

    on_server(tmp_path, test)


def test_a_controller_that_is_gone_is_not_connected(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await served.does("connected", Connected="True")
        served.camera.link.is_connected = False
        await served.becomes("connected", False)
        status, answer = await served.get("camerastate")
        assert (status, answer["ErrorNumber"]) == (200, NOT_CONNECTED)
        await served.becomes("connected", True)

    on_server(tmp_path, test)


def test_pages_of_other_sites_and_clients_without_the_token_are_kept_out(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        endpoint = served.service.endpoint
        port = endpoint.rpartition(":")[2]
        for headers, status in (
            ({"Host": f"evil.example:{port}"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Host": f"dome.example:{port}"}, 200),
            ({"Host": f"192.168.17.4:{port}"}, 200),
            ({"Host": f"localhost:{port}"}, 200),
        ):
            assert (await served.ask("GET", "/management/apiversions", headers=headers))[0] == status, headers

    on_server(tmp_path, test, AlpacaSettings(port=0, names=("dome.example",)))

    async def token(served: Served) -> None:
        assert (await served.get("name"))[0] == 401
        for words, status in (
            ({"headers": {"Authorization": "Bearer open sesame"}}, 200),
            ({"headers": {"Authorization": "Bearer shut"}}, 401),
            ({"headers": {"Authorization": "Basic !!"}}, 401),
            ({"headers": {"Authorization": f"Basic {base64.b64encode(b'anybody:open sesame').decode()}"}}, 200),
        ):
            assert (await served.ask("GET", f"{PREFIX}name", **words))[0] == status, words

    on_server(tmp_path, token, AlpacaSettings(port=0, token="open sesame"))


def test_more_connections_than_allowed_are_turned_away(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host, _, port = served.service.endpoint.rpartition(":")
        writers = [(await asyncio.open_connection(host, int(port)))[1] for _ in range(2)]
        assert (await served.get("name"))[0] == 503
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        deadline = asyncio.get_running_loop().time() + 5.0
        while (await served.get("name"))[0] != 200:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.01)

    on_server(tmp_path, test, AlpacaSettings(port=0, connections=2))
