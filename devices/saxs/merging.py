"""What clients of the detector's control systems do with a merge; those of the leash have commands of their own."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Final

from devices.core import Argument, Device, Operation, command, operation
from devices.core.errors import BadValueError
from devices.drivers.json_schema import schema_of
from devices.saxs.control import QueueControl

STEP_S: Final = 0.1
MAX_DOCUMENT: Final = 1 << 20  # characters


class Merging(Device):
    """The merge of a SAXS detector, as an operation."""

    control: QueueControl

    @operation()
    async def merge(
        self,
        run: Operation,
        configuration: Annotated[
            str, Argument(doc="The content of a merge configuration, JSON", text_limit=MAX_DOCUMENT)
        ],
    ) -> dict[str, Any]:
        """Join the images of the queue with the logs of detector and beamline, and write what comes of it."""
        try:
            document = json.loads(configuration)
        except (ValueError, RecursionError) as error:
            raise BadValueError(f"configuration: not JSON: {error}") from error
        merging = self.control.merging
        task = await self.control.begin_merge(document)
        try:
            while not task.done():
                run.report(min(merging.progress, 99.0), merging.message)
                await asyncio.wait({task}, timeout=STEP_S)
        except asyncio.CancelledError:
            await merging.stop()
            raise
        found = task.result()
        return {"images": len(found.table.time_us), "files": [str(each) for each in found.files]}

    @command(reads_only=True)
    async def merge_result(self) -> dict[str, Any]:
        """Exposures and shutter of the last merge in one clock, and its files; empty before there is one."""
        found = self.control.merge_result()
        return {} if found is None else {"syncplot": found["syncplot"], "files": found["fileslist"]["Merged"]}

    @command(reads_only=True)
    async def merge_schema(self) -> dict[str, Any]:
        """The JSON schema of merge configurations, with descriptions, bounds and defaults."""
        return dict(schema_of("saxs_merge"))
