"""What each command of a Saxsdog client does to a detector, and what the client gets for it."""

from __future__ import annotations

import asyncio
import builtins
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from devices.core.errors import BadValueError, BusyError, DiptychError, NotAllowedError
from devices.pipelines.saxs_parameters import IntegralParameters
from devices.saxs.results import Curve, ImageCurves
from servers.leash.reply import Encoded, Reply, error_reply, error_text
from servers.leash.request import Request
from servers.leash.series_text import SeriesTexts
from servers.leash.target import Target

log = logging.getLogger(__name__)

NO_PARAMETERS: Final = IntegralParameters(float("nan"), float("nan"), float("nan"))


class Commands:
    """Carries out requests that were let in.

    ``new``, ``readdir`` and ``close`` take turns; ``abort`` and all that only asks never wait.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._turn = asyncio.Lock()
        self._merges_told = 0
        self._series = SeriesTexts()
        self._graphs: tuple[ImageCurves, Encoded] | None = None
        self._commands: Mapping[str, Callable[[Request], Awaitable[Reply]]] = {
            "abort": self._abort,
            "close": self._close,
            "fileslist": self._fileslist,
            "get": self._get,
            "getmergedata": self._getmergedata,
            "listdir": self._listdir,
            "mergedata": self._mergedata,
            "mergestat": self._mergestat,
            "new": self._new,
            "plot": self._plot,
            "plotdata": self._plotdata,
            "readdir": self._readdir,
            "stat": self._stat,
        }

    async def run(self, request: Request) -> Reply:
        """Carry out a request; an error becomes a reply that the protocol has for it."""
        try:
            return await self._commands[request.command](request)
        except builtins.TimeoutError as error:
            return error_reply("Error", error_text(error))
        except DiptychError as error:
            return error_reply("ValueError" if isinstance(error, ValueError) else "Error", error_text(error))
        except Exception as error:
            log.exception("%s failed", request.command)
            return error_reply("ServerError", error_text(error))

    # The queue ----------------------------------------------------------------------------------------------------

    async def _new(self, request: Request) -> Reply:
        calibration = _argument(request, "calibration")
        masks = request.files("latin-1")
        try:
            async with self._turn:
                await self._target.new_queue(calibration, masks)
        except OSError as error:
            if isinstance(error, DiptychError | builtins.TimeoutError):
                raise
            return error_reply("IOError", error_text(error))
        return Reply("new queue", {"cal": calibration})

    async def _readdir(self, request: Request) -> Reply:
        if self._target.queue_counts() is None:
            return error_reply("ValueError", "Start Queue first")
        async with self._turn:
            await self._target.read_folder()
        return Reply("queue restarted with all files", {"stat": self._counts()})

    async def _close(self, request: Request) -> Reply:
        async with self._turn:
            await self._target.close_queue()
        return Reply("queue closed", {"stat": self._counts()})

    async def _abort(self, request: Request) -> Reply:
        await self._target.abort_queue()
        return Reply("queue aborted", {"stat": {}})

    async def _stat(self, request: Request) -> Reply:
        return Reply("stat", {"stat": self._counts(merges=True)})

    def _counts(self, *, merges: bool = False) -> dict[str, Any]:
        """How the queue stands; a merge that ended since the last time is told once, in the reply to ``stat``."""
        counts = self._target.queue_counts()
        if counts is None:
            return {}
        found = {
            "images processed": counts.processed,
            "queue length": counts.waiting,
            "time": time.time(),
            "start time": counts.started,
        }
        if merges:
            if counts.merges > self._merges_told:
                found["mergecount"] = counts.merges
            self._merges_told = counts.merges
        return found

    async def _get(self, request: Request) -> Reply:
        found = self._target.queue_calibration()
        if found is None:
            return Reply("no queue")
        calibration, masks = found
        attachments = [{"filename": mask.filename, "data": mask.data.decode("latin-1")} for mask in masks]
        return Reply("cal", {"cal": calibration, "attachments": attachments})

    # What was measured --------------------------------------------------------------------------------------------

    async def _plot(self, request: Request) -> Reply:
        await self._series.follow(self._target.integral_series())
        queue = self._target.queue_calibration()
        if queue is None:
            return Reply("no queue")
        newest = self._target.newest_curves()
        if newest is None:
            return Reply("Empty", {"stat": self._counts()})
        if self._graphs is None or self._graphs[0] is not newest:
            graphs = [_graph(curve, newest, queue[0]) for curve in newest.curves]
            self._graphs = newest, Encoded(json.dumps(graphs))
        return Reply(
            "plot",
            {
                "filename": newest.output,
                "graphs": self._graphs[1],
                "stat": self._counts(),
                "history": list(self._target.finished_times()),
                "IntegralParameters": self._series.encoded(),
            },
        )

    async def _plotdata(self, request: Request) -> Reply:
        return error_reply("ErrorNotimplemented", "plotdata is no command of the server: plot gives the data")

    async def _listdir(self, request: Request) -> Reply:
        try:
            directory, entries = await self._target.list_folder(request.argument.get("directory", []))
        except (NotAllowedError, OSError) as error:
            return error_reply("OSError", error_text(error))
        content = [{"isdir": is_folder, "path": name} for name, is_folder in entries]
        return Reply("listdir", {"dircontent": content, "directory": list(directory)})

    async def _fileslist(self, request: Request) -> Reply:
        lists = await self._target.file_lists()
        return Reply("resultfileslists", {"fileslist": {kind: list(paths) for kind, paths in lists.items()}})

    # Merging ------------------------------------------------------------------------------------------------------

    async def _mergedata(self, request: Request) -> Reply:
        configuration = _argument(request, "mergeconf")
        try:
            await self._target.start_merge(configuration, request.files("utf-8"))
        except BusyError:
            return error_reply("Error", "Merge already started please wait")
        return Reply("merge startedmergedata")

    async def _getmergedata(self, request: Request) -> Reply:
        found = self._target.merge_result()
        return Reply("Empty") if found is None else Reply("mergedata", found)

    async def _mergestat(self, request: Request) -> Reply:
        return Reply("stat", {"mergeinfo": self._target.merge_news()})


def _argument(request: Request, key: str) -> Any:
    try:
        return request.argument[key]
    except KeyError:
        raise BadValueError(f"{request.command}: the argument {key} is missing") from None


def _graph(curve: Curve, image: ImageCurves, calibration: Mapping[str, Any]) -> dict[str, Any]:
    graph: dict[str, Any] = {
        "kind": curve.kind,
        "array": [column.tolist() for column in (curve.x, curve.intensity, curve.sigma)],
        "columnLabels": list(curve.labels),
        "conf": calibration,
    }
    if curve.kind == "Slice":
        return graph | {"slice": curve.settings}
    found = curve.parameters or NO_PARAMETERS
    parameters = {"I0": found.i0, "I1": found.i1, "I2": found.i2}
    return graph | {"mask": curve.settings, "Integparam": parameters, "Image": image.image}
