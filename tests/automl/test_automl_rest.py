"""Loops over the AutoML REST API, both ways, over sockets."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from devices.core.errors import NotConnectedError, ProtocolError, RefusedError, TimeoutError
from devices.drivers.automl import AutomlClient
from devices.pipelines.loop.settings import LoopSettings
from devices.pipelines.loop.synthetic import encoded, scene
from servers.automl.server import MAX_INSTANCES, AutomlServer

PREDICT = "/v1/models/default:predict"
KEY = "collectLoopImages:1.27:3"


@asynccontextmanager
async def our_service() -> AsyncIterator[AutomlServer]:
    server = AutomlServer(LoopSettings(least_score=0.0, finder="classical"))
    await server.start(0)
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def service(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Another's service, which answers as it is told; gives HOST:PORT."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def asked(address: str, **settings: Any) -> Any:
    client = AutomlClient(address, **settings)
    try:
        return await client.find(b"\xff\xd8picture", KEY)
    finally:
        await client.close()


def prediction(**changes: Any) -> dict[str, Any]:
    """A nylon loop before its pin; boxes are min y, min x, max y, max x."""
    return {
        "key": KEY,
        "num_detections": 3.0,
        "detection_boxes": [[0.40, 0.0, 0.60, 0.25], [0.44, 0.50, 0.52, 0.62], [0.1, 0.1, 0.2, 0.2]],
        "detection_scores": [0.98, 0.91, 0.02],
        "detection_classes": [3, 1, 2],
        "detection_classes_as_text": ["pin", "nylon", "mitegen"],
    } | changes


def answering(*predictions: dict[str, Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"predictions": list(predictions)})

    return answer


def test_our_client_finds_the_loop_by_our_service() -> None:
    picture = scene("easy", 600_000_001).picture(20.0)

    async def session() -> None:
        async with our_service() as server:
            client = AutomlClient(f"127.0.0.1:{server.port}")
            assert await client.healthy()
            found, again = await asyncio.gather(*(client.find(encoded(picture.image), key) for key in ("a", "b")))
            assert found == again
            await client.close()
        assert found.found
        truth = picture.truth
        assert found.tip_x == pytest.approx(truth.tip_x, abs=3 / 704)
        assert found.tip_y == pytest.approx((truth.box_min_y + truth.box_max_y) / 2, abs=3 / 480)
        assert found.loop_width == pytest.approx(truth.loop_width, abs=4 / 480)
        assert found.pin_base_x == pytest.approx(truth.pin_base_x, abs=6 / 704)

    asyncio.run(session())


def test_another_client_gets_the_exact_answer_of_such_a_service() -> None:
    picture = scene("easy", 600_000_001).picture(20.0)
    instance = {"image_bytes": {"b64": base64.b64encode(encoded(picture.image)).decode()}, "key": KEY}
    question = {"instances": [instance, instance | {"key": "other"}], "params": [{"max_bounding_box_count": "1"}]}

    async def session() -> tuple[Any, Any]:
        async with our_service() as server, aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
            async with http.post(PREDICT, json=question) as response:
                assert response.status == 200
                answer = await response.json()
            async with http.get("/v1/models/default") as response:
                assert response.status == 200
                return answer, await response.json()

    answer, health = asyncio.run(session())
    assert [each["key"] for each in answer["predictions"]] == [KEY, "other"]
    first = answer["predictions"][0]
    assert set(first) == set(prediction())
    assert first["num_detections"] == len(first["detection_boxes"]) == 1
    assert health["model_version_status"][0]["state"] == "AVAILABLE"


def test_the_client_asks_as_the_edge_container_expects() -> None:
    questions: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        questions.append((request.method, request.path, await request.json()))
        return web.json_response({"predictions": [prediction()]})

    async def session() -> None:
        async with service(answer) as address:
            await asked(address)

    asyncio.run(session())
    assert questions == [
        (
            "POST",
            PREDICT,
            {
                "instances": [
                    {"image_bytes": {"b64": base64.b64encode(b"\xff\xd8picture").decode()}, "key": KEY},
                ],
                "params": [{"max_bounding_box_count": "10"}],
            },
        )
    ]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in prediction().items() if key != name}


@pytest.mark.parametrize(
    "predictions",
    [
        [prediction()],
        [prediction(key="someone:else:1", detection_scores=[0.1, 0.1, 0.1]), prediction()],
        [without("key")],
        [without("num_detections")],
        [without("detection_classes_as_text") | {"detection_class_names": ["pin", "nylon", "mitegen"]}],
        [prediction(detection_scores=[0.98, 0.91, 0.0201], num_detections=2)],
    ],
)
def test_the_best_loop_and_the_best_pin_make_the_result(predictions: list[dict[str, Any]]) -> None:
    async def session() -> Any:
        async with service(answering(*predictions)) as address:
            return await asked(address)

    found = asyncio.run(session())
    assert (found.found, found.kind, found.is_micromount, found.score) == (True, "nylon", False, 0.91)
    assert (found.tip_x, found.tip_y, found.pin_base_x) == pytest.approx((0.62, 0.48, 0.25))
    assert (found.loop_width, found.loop_width_x) == pytest.approx((0.08, 0.12))
    assert (found.box_min_x, found.box_max_x, found.box_min_y, found.box_max_y) == (0.50, 0.62, 0.44, 0.52)


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"detection_scores": [0.04, 0.03, 0.02]}, {"threshold": 0.05}, "nothing"),
        ({"detection_scores": [0.98, 0.03, 0.02]}, {"threshold": 0.05}, "no_loop"),
        ({}, {"scanned": 1}, "no_loop"),
        ({"num_detections": 0}, {}, "nothing"),
        ({"detection_classes_as_text": ["dust", "dust", "dust"]}, {}, "nothing"),
    ],
)
def test_without_a_sure_loop_there_is_none(changes: dict[str, Any], settings: dict[str, Any], message: str) -> None:
    async def session() -> Any:
        async with service(answering(prediction(**changes))) as address:
            return await asked(address, **settings)

    found = asyncio.run(session())
    assert (found.found, found.message) == (False, message)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"predictions": 5}',
        b'{"predictions": []}',
        json.dumps({"predictions": [prediction(key="someone:else:1")]}).encode(),
        json.dumps({"predictions": [prediction(detection_boxes=[[0.1, 0.2]])]}).encode(),
        json.dumps({"predictions": [prediction(detection_boxes=[[0.1, 0.2, "x", 0.3]] * 3)]}).encode(),
        json.dumps({"predictions": [prediction(detection_scores=[float("nan")] * 3)]}).encode(),
        json.dumps({"predictions": [without("detection_classes_as_text")]}).encode(),
        json.dumps({"predictions": [prediction(num_detections=9)]}).encode(),
        b" " * (2 << 20),
    ],
)
def test_an_answer_of_another_form_is_a_protocol_error(body: bytes) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    async def session() -> None:
        async with service(answer) as address:
            with pytest.raises(ProtocolError, match="AutoML"):
                await asked(address)

    asyncio.run(session())


def test_a_refusal_a_silence_and_an_absence_are_told_apart() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": "no such model"}, status=404)

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async def session() -> None:
        async with service(refuse) as address:
            with pytest.raises(RefusedError, match=r"404.*no such model"):
                await asked(address)
            client = AutomlClient(address)
            assert not await client.healthy()
            await client.close()
        async with service(hang) as address:
            with pytest.raises(TimeoutError, match=r"0\.2 s"):
                await asked(address, timeout=0.2)
        with pytest.raises(NotConnectedError):
            await asked(address)

    asyncio.run(session())


PNG_LIE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 40).decode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"[]", "instances"),
        (b'{"instances": []}', "instances"),
        (json.dumps({"instances": [{}] * (MAX_INSTANCES + 1)}).encode(), "instances"),
        (b'{"instances": [{"key": "a"}]}', "image_bytes"),
        (b'{"instances": [{"image_bytes": {"b64": "%%%"}}]}', "picture"),
        (json.dumps({"instances": [{"image_bytes": {"b64": PNG_LIE}}]}).encode(), "picture"),
        (b'{"instances": [{}], "params": [{"max_bounding_box_count": "many"}]}', "max_bounding_box_count"),
    ],
)
def test_a_wrong_question_is_refused_with_a_reason_and_the_next_is_answered(body: bytes, words: str) -> None:
    async def session() -> None:
        async with our_service() as server, aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
            async with http.post(PREDICT, data=body) as response:
                assert response.status == 400
                assert words in (await response.json())["error"]
            assert (server.answered, server.refused) == (0, 1)
            async with http.get("/v1/models/default") as response:
                assert response.status == 200

    asyncio.run(session())


def test_a_question_that_is_too_long_is_refused() -> None:
    async def session() -> None:
        async with (
            our_service() as server,
            aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http,
            http.post(PREDICT, data=b" " * (33 << 20)) as response,
        ):
            assert response.status == 413

    asyncio.run(session())
