"""What happened to alarms, for pages: the journal of the alarm device, asked by its command."""

from __future__ import annotations

from aiohttp import web

from devices.core.errors import BadValueError, DiptychError
from servers.web.channels import Channels
from servers.web.typed import query_of

COMMAND = "AlarmHistory"
OFF = "this facility has no alarms; docs/alarms.md says how to add them"
HOURS = 24.0


class AlarmSteps:
    """Answers ``/alarms/history?alarm=NAME&hours=H`` with the JSON of the device: ``{"steps": [...]}``, newest first.

    Args:
        prefix: of the alarm device's PVs; "" where there is none.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    async def answer(self, request: web.Request, channels: Channels) -> web.Response:
        if not self._prefix:
            raise web.HTTPNotFound(text=OFF)
        try:
            hours = float(request.query.get("hours", HOURS))
        except ValueError:
            raise web.HTTPBadRequest(text=f"hours = {request.query['hours'][:80]!r} is not a number") from None
        command = self._prefix + COMMAND
        try:
            query = query_of(command, {"alarm": request.query.get("alarm", ""), "hours": hours})
            answer = await channels.call(command, query)
        except BadValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        except DiptychError as error:
            raise web.HTTPServiceUnavailable(text=f"the alarm device is away: {error}") from error
        return web.Response(text=str(answer.value), content_type="application/json")
