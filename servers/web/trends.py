"""Trends for pages: what PVs were, as JSON and as CSV, from the history of the facility."""

from __future__ import annotations

import asyncio
import io
import json
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from aiohttp import web
from numpy.typing import NDArray

from devices.core.errors import BadValueError, RangeError, UnknownNameError
from servers.history.export import write_csv
from servers.history.store import MAX_POINTS, History, StoreAwayError, Trend

MAX_PVS: Final = 16  # of one question
MAX_SHOWN: Final = 10_000  # points of each PV, as JSON
MAX_EXPORTED: Final = 100_000  # points of each PV, as CSV
SPAN_S: Final = 3600.0  # without ``from``
MAX_DIGITS: Final = 12  # of a number of points
LATEST_S: Final = 9e9  # s since 1970; nanoseconds of it fit into 64 bits
WORKERS: Final = 2  # one long question does not hold up the short ones
OFF: Final = "this facility keeps no history; add `history: true` to its .facility.yaml"

OpenHistory = Callable[[], History]


class Question(NamedTuple):
    """What a page asks: names, seconds since 1970, and how many points of each."""

    pvs: Sequence[str]
    from_s: float
    to_s: float
    points: int


class Trends:
    """Answers questions of pages in threads of its own.

    Args:
        open_history: opens the history to be read; None where there is none.
    """

    def __init__(self, open_history: OpenHistory | None) -> None:
        self._open = open_history
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="history")
        self._idle: SimpleQueue[History] = SimpleQueue()  # never more than there are workers

    async def shown(self, request: web.Request) -> web.Response:
        """``/hist?pv=A&pv=B&from=S&to=S&points=N``: columns of each PV."""
        return _json(await self._answer(lambda history: _shown(history, _question(request, MAX_POINTS, MAX_SHOWN))))

    async def exported(self, request: web.Request) -> web.Response:
        """``/hist/export.csv``, asked in the same way: a file, as of ``diptych history``."""
        body = await self._answer(lambda history: _csv(history, _question(request, MAX_EXPORTED, MAX_EXPORTED)))
        name = {"Content-Disposition": 'attachment; filename="trend.csv"'}
        response = web.Response(text=body, content_type="text/csv", charset="utf-8", headers=name)
        response.enable_compression()
        return response

    async def names(self, _: web.Request) -> web.Response:
        """``/hist/pvs``: units of all PVs that there is something of."""
        return _json(await self._answer(_names))

    def close(self) -> None:
        self._workers.shutdown(wait=True, cancel_futures=True)
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    async def _answer(self, ask: Callable[[History], str]) -> str:
        if self._open is None:
            raise web.HTTPNotFound(text=OFF)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, self._ask, self._open, ask)
        except (BadValueError, RangeError) as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        except UnknownNameError as error:
            raise web.HTTPNotFound(text=str(error)) from error
        except StoreAwayError as error:
            raise web.HTTPServiceUnavailable(text=f"the history is away: {error}") from error

    def _ask(self, open_history: OpenHistory, ask: Callable[[History], str]) -> str:
        """In a worker: with a history that no other thread uses meanwhile; one that went away is opened anew."""
        try:
            history = self._idle.get_nowait()
        except Empty:
            history = open_history()
        try:
            body = ask(history)
        except StoreAwayError:
            history.close()
            raise
        except BaseException:
            self._idle.put(history)
            raise
        self._idle.put(history)
        return body


def _question(request: web.Request, usual: int, most: int) -> Question:
    """What a request asks.

    Args:
        usual, most: points of each PV, when the request does not say and at most.

    Raises:
        BadValueError, RangeError: it is no question.
    """
    pvs = request.query.getall("pv", [])
    if not 1 <= len(pvs) <= MAX_PVS:
        raise RangeError(f"{len(pvs)} PVs are asked for; 1 to {MAX_PVS} can be, as pv=NAME&pv=NAME")
    to_s = _seconds(request, "to", time.time())
    from_s = _seconds(request, "from", -SPAN_S)
    from_s = to_s + from_s if from_s < 0 else from_s
    if not 0 <= from_s <= to_s <= LATEST_S:
        raise RangeError(f"from = {from_s:.15g} s, to = {to_s:.15g} s is no time: 0 <= from <= to <= {LATEST_S:g}")
    text = request.query.get("points", str(usual))
    if not text.isdecimal() or len(text) > MAX_DIGITS:
        raise BadValueError(f"points = {text!r:.40} is not a whole number")
    if not 1 <= int(text) <= most:
        raise RangeError(f"points = {text} is outside [1, {most}]")
    return Question(pvs, from_s, to_s, int(text))


def _seconds(request: web.Request, key: str, usual: float) -> float:
    text = request.query.get(key, "")
    try:
        value = float(text) if text else usual
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadValueError(f"{key} = {text!r} is not a number of seconds")
    return value


def _json(body: str) -> web.Response:
    response = web.json_response(text=body)
    response.enable_compression()
    return response


def _shown(history: History, asked: Question) -> str:
    trends = [_columns(trend) for trend in history.query(*asked)]
    return json.dumps({"from": asked.from_s, "to": asked.to_s, "trends": trends}, allow_nan=False)


def _columns(trend: Trend) -> dict[str, Any]:
    return {
        "pv": trend.pv,
        "unit": trend.facts.unit,
        "labels": trend.facts.labels,
        "width": trend.width_s,
        "time": trend.time_s.tolist(),
        "low": _numbers(trend.low),
        "high": _numbers(trend.high),
        "mean": _numbers(trend.mean),
        "last": _numbers(trend.last),
        "severity": trend.severity.tolist(),
        "connected": trend.is_connected.tolist(),
    }


def _numbers(values: NDArray[Any]) -> list[float | None]:
    """JSON has neither NaN nor infinities: null."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _csv(history: History, asked: Question) -> str:
    text = io.StringIO()
    write_csv(history.query(*asked), text)
    return text.getvalue()


def _names(history: History) -> str:
    return json.dumps({name: facts.unit for name, facts in history.pvs().items()})
