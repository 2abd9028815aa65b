"""The web API: answers of azcam under /api, codes under /api/v2, and who may ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from devices.ccd.exposure_state import ExposureState
from servers.azcam.settings import Address, AzcamSettings
from tests.azcam.console import Served, on_camera

Ask = Callable[..., Awaitable[tuple[int, Any]]]


def on_web(
    folder: Path, test: Callable[[Served, Ask], Awaitable[None]], settings: AzcamSettings | None = None, **words: Any
) -> None:
    async def work(served: Served) -> None:
        async with aiohttp.ClientSession(f"http://{served.service.web_endpoint}") as session:

            async def ask(method: str, path: str, **words: Any) -> tuple[int, Any]:
                async with session.request(method, path, **words) as answer:
                    is_json = answer.content_type == "application/json"
                    return answer.status, await (answer.json() if is_json else answer.text())

            await test(served, ask)

    on_camera(folder, work, settings, **words)


def finished(command: str, data: Any) -> tuple[int, Any]:
    return 200, {"message": "Finished", "command": command, "data": data}


def test_get_answers_as_azcam_does(tmp_path: Path) -> None:
    async def test(served: Served, ask: Ask) -> None:
        assert await ask("GET", "/api/get_roi") == finished("get_roi", [1, 60, 1, 40, 1, 1])
        assert await ask("GET", "/api/set_roi?col_bin=2&row_bin=4") == finished("set_roi", None)
        assert await ask("GET", "/api/get_roi") == finished("get_roi", [1, 60, 1, 40, 2, 4])
        assert await ask("GET", "/api/get_par?parameter=colbin") == finished("get_par", 2)
        assert await ask("GET", "/api/expose?exposure_time=0.05&imagetype=flat&title=a+flat") == finished(
            "expose", None
        )
        assert await ask("GET", "/api/get_image_title") == finished("get_image_title", "a flat")
        code, answer = await ask("GET", "/api/get_status")
        assert code == 200 and answer["data"]["filename"].endswith("a.0002.fits")
        for wrong in ("nosuch", "exposure/get_status", "exposure.get_roi", "set_roi?first_col=x", "__class__"):
            name = wrong.partition("?")[0]
            assert await ask("GET", f"/api/{wrong}") == finished(name, f"invalid API command: {name}")

    on_web(tmp_path, test)


def test_post_answers_as_azcam_does(tmp_path: Path) -> None:
    async def test(served: Served, ask: Ask) -> None:
        async def post(command: str, *args: Any, **kwargs: Any) -> tuple[int, Any]:
            return await ask("POST", "/api", json={"tool": "api", "command": command, "args": args, "kwargs": kwargs})

        assert await post("set_exposuretime", 2) == finished("api.set_exposuretime", None)
        assert await post("get_exposuretime") == finished("api.get_exposuretime", 2.0)
        assert await post("set_par", "imagetitle", value="a dark") == finished("api.set_par", None)
        assert await post("get_par", "imagetitle") == finished("api.get_par", "a dark")
        assert await post("get_temperatures") == finished("api.get_temperatures", [-101.5, -180.25])
        code, answer = await post("set_exposuretime", -2)
        assert code == 200 and answer["data"].startswith("RangeError('exposure_time = -2.0 s is outside")
        _, answer = await post("os.system", "ls")
        assert answer["data"].startswith("AttributeError(")
        # The content type is not looked at, and both lists must be there.
        body = json.dumps({"command": "get_roi"})
        assert await ask("POST", "/api", data=body) == finished("api.get_roi", "KeyError('args')")
        code, answer = await ask("POST", "/api", data="no JSON")
        assert code == 200 and answer["command"] == "" and "JSONDecodeError" in answer["data"]

    on_web(tmp_path, test)


def test_the_second_version_has_codes_and_all_tools(tmp_path: Path) -> None:
    async def test(served: Served, ask: Ask) -> None:
        def refused(name: str) -> Any:
            return {"error": {"name": name, "message": ANY}}

        assert await ask("GET", "/api/v2/instrument.get_filters") == (200, {"data": ["clear", "B", "V", "R", "I"]})
        assert await ask("POST", "/api/v2/instrument.set_wavelength", json={"wavelength": 450}) == (200, {"data": None})
        assert await ask("POST", "/api/v2/exposure.set_roi", json=[1, 60, 1, 40, 2, 4]) == (200, {"data": None})
        assert await ask("POST", "/api/v2/get_roi") == (200, {"data": [1, 60, 1, 40, 2, 4]})
        code, answer = await ask("POST", "/api/v2/expose", json={"exposure_time": 0.05, "image_type": "dark"})
        assert code == 200 and answer["data"]["file"] == str(served.camera.folder / "a.0001.fits")
        assert await ask("GET", "/api/v2/expose") == (405, refused("NotAllowedError"))
        assert await ask("GET", "/api/v2/nosuch") == (404, refused("AttributeError"))
        assert await ask("GET", "/api/v2/os.system") == (404, refused("AzcamError"))
        assert await ask("GET", "/api/v2/exposure.get_keyword?keyword=NOSUCH") == (404, refused("UnknownNameError"))
        assert await ask("POST", "/api/v2/expose", json={"exposure_time": -7}) == (400, refused("RangeError"))
        assert await ask("POST", "/api/v2/expose", json={"seconds": 1, "what": 2}) == (400, refused("BadValueError"))
        assert await ask("POST", "/api/v2/expose", data="{") == (400, refused("BadValueError"))
        assert await ask("POST", "/api/v2/expose", json=7) == (400, refused("BadValueError"))
        assert await ask("POST", "/api/v2/resume") == (409, refused("NotAllowedError"))

    on_web(tmp_path, test)


def test_an_exposure_is_started_and_asked_after_by_its_id(tmp_path: Path) -> None:
    async def test(served: Served, ask: Ask) -> None:
        code, answer = await ask("POST", "/api/v2/expose1", json={"exposure_time": 60, "image_type": "dark"})
        assert code == 200
        await served.camera.reaches(ExposureState.EXPOSING)
        assert (await ask("POST", "/api/v2/expose1", json={}))[0] == 409
        assert (await ask("POST", "/api/v2/abort"))[0] == 200
        await served.camera.reaches(ExposureState.IDLE)
        _, found = await ask("GET", f"/api/v2/exposure.operation_status?id={answer['data']}")
        assert json.loads(found["data"])["state"] == "ABORTED"

    on_web(tmp_path, test)


def test_pages_of_other_sites_are_refused(tmp_path: Path) -> None:
    """A page must not take exposures through the browser of who reads it."""

    async def test(served: Served, ask: Ask) -> None:
        for headers in (
            {"Origin": "http://elsewhere.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Host": "elsewhere.example:2403"},
        ):
            assert (await ask("GET", "/api/expose?exposure_time=0", headers=headers))[0] == 403
        own = {"Origin": f"http://{served.service.web_endpoint}", "Sec-Fetch-Site": "same-origin"}
        assert (await ask("GET", "/api/get_roi", headers=own))[0] == 200
        assert served.camera.exposure.images_taken.value == 0

    on_web(tmp_path, test)


def test_a_token_is_asked_for_on_the_web_too(tmp_path: Path) -> None:
    async def test(served: Served, ask: Ask) -> None:
        assert (await ask("GET", "/api/get_roi"))[0] == 401
        assert (await ask("GET", "/api/get_roi", headers={"Authorization": "Bearer sesam"}))[0] == 401
        assert (await ask("GET", "/api/get_roi", headers={"Authorization": "Bearer open sesame"}))[0] == 200

    on_web(tmp_path, test, AzcamSettings(web=Address(), token="open sesame"))


def test_long_bodies_are_refused(tmp_path: Path) -> None:
    async def test(served: Served, ask: Ask) -> None:
        assert (await ask("POST", "/api", data=b"x" * 2_000_000))[0] == 413

    on_web(tmp_path, test)


def test_the_methods_are_listed_for_people_and_programs(tmp_path: Path) -> None:
    async def test(served: Served, ask: Ask) -> None:
        for path in ("/", "/docs"):
            code, page = await ask("GET", path)
            assert code == 200 and "exposure.set_roi(first_col=, last_col=" in page
        code, found = await ask("GET", "/openapi.json")
        assert code == 200
        assert set(found["paths"]["/api/v2/exposure.get_roi"]) == {"get", "post"}
        assert set(found["paths"]["/api/v2/exposure.expose"]) == {"post"}

    on_web(tmp_path, test)


def test_the_client_of_a_long_request_may_vanish(tmp_path: Path) -> None:
    async def test(served: Served, ask: Ask) -> None:
        body = {"exposure_time": 1.0, "image_type": "dark"}
        with pytest.raises(asyncio.TimeoutError):
            await ask("POST", "/api/v2/expose", json=body, timeout=aiohttp.ClientTimeout(total=0.3))
        await served.camera.reaches(ExposureState.IDLE)
        assert (served.camera.folder / "a.0001.fits").exists()

    on_web(tmp_path, test)


class _Any:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(other)


ANY = _Any()
