"""The operations of an area detector, as sequencers of DCSS call them.

``detector_collect_image`` begins an exposure and asks the script to turn the crystal, by the update
``start_oscillation SHUTTER TIME FILE``; the script then calls ``detector_transfer_image``, which reads the image out,
and both are completed when it is in its file.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devices.core.errors import AbortedError, BadValueError, TimeoutError
from devices.core.neighbours import Neighbours
from devices.dcss.operation import DhsOperations, OperationCall
from devices.dcss.operation_address import plain

COLLECT_WORDS: Final = (
    "run_index file directory user axis seconds start delta distance wavelength detector_x detector_y mode reuse_dark "
    "session"
).split()
SHUTTERLESS_WORDS: Final = (*COLLECT_WORDS, "images", "next_frame")
#: What a script may need from the end of an oscillation until it asks for the image, s.
TRANSFER_SECONDS: Final = 60.0


@dataclass(frozen=True)
class DetectorMapping:
    """The neighbours of a detector.

    Attributes:
        expose: an operation that runs from ``detector_collect_image`` until the image is written.
        read: or one that reads the image out, run by ``detector_transfer_image``. At least one of them.
        shutterless: runs a whole series. stop: runs at ``detector_stop``. reset: at ``detector_reset_run``.
        arguments: argument of ``expose``, ``read`` and ``shutterless`` -> one of the words of DCSS by `COLLECT_WORDS`,
            or a constant.
        shutter: what the update names.
    """

    expose: str | None = None
    read: str | None = None
    shutterless: str | None = None
    stop: str | None = None
    reset: str | None = None
    arguments: Mapping[str, Any] | None = None
    shutter: str = "shutter"


class Detector:
    """Plays detector by neighbours."""

    def __init__(self, mapping: DetectorMapping, neighbours: Neighbours) -> None:
        self._mapping, self._neighbours = mapping, neighbours
        self._transferred = asyncio.Event()
        self._written: asyncio.Future[None] | None = None

    def add_to(self, operations: DhsOperations) -> None:
        """Serve its operations."""
        operations.add("detector_collect_image", self.collect_image)
        operations.add("detector_transfer_image", self.transfer_image)
        operations.add("detector_oscillation_ready", self.oscillation_ready)
        operations.add("detector_stop", self.stop)
        operations.add("detector_reset_run", self.reset_run)
        if self._mapping.shutterless is not None:
            operations.add("detector_collect_shutterless", self.collect_shutterless)
            operations.add("detectorCollectShutterless", self.collect_shutterless)

    async def collect_image(self, call: OperationCall) -> Sequence[object]:
        given = _named(call, COLLECT_WORDS)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._written = written
        self._transferred.clear()
        exposure = None
        if self._mapping.expose is not None:
            exposure = asyncio.ensure_future(self._run(self._mapping.expose, given))
        try:
            call.update("start_oscillation", self._mapping.shutter, given["seconds"], given["file"])
            await self._transfer_asked(float(given["seconds"]))
            if exposure is not None:
                await exposure
            if self._mapping.read is not None:
                await self._run(self._mapping.read, given)
            written.set_result(None)
            call.update("prepare_for_oscillation", float(given["start"]) + float(given["delta"]))
            return (given["run_index"],)
        except BaseException as error:
            if exposure is not None:
                exposure.cancel()
            if not written.done():
                written.set_exception(AbortedError(f"the image was not taken: {error}"))
                written.exception()  # nobody may ask for the image
            raise

    async def transfer_image(self, call: OperationCall) -> Sequence[object]:
        if self._written is None:
            raise BadValueError("no image is being taken")
        self._transferred.set()
        await asyncio.shield(self._written)
        return ()

    async def oscillation_ready(self, call: OperationCall) -> Sequence[object]:
        return ()

    async def stop(self, call: OperationCall) -> Sequence[object]:
        self._transferred.set()
        if self._mapping.stop is not None:
            await self._neighbours.run(self._mapping.stop, {})
        return ()

    async def reset_run(self, call: OperationCall) -> Sequence[object]:
        if self._mapping.reset is not None:
            await self._neighbours.run(self._mapping.reset, {})
        return call.words[:1]

    async def collect_shutterless(self, call: OperationCall) -> Sequence[object]:
        given = _named(call, SHUTTERLESS_WORDS)
        assert self._mapping.shutterless is not None

        def tell(percent: float, message: str) -> None:
            call.update("scanning_plate", round(percent))

        exposure = asyncio.ensure_future(self._run(self._mapping.shutterless, given, tell))
        call.update("start_oscillation", self._mapping.shutter, given["seconds"], given["file"])
        try:
            await exposure
        finally:
            exposure.cancel()
        return (given["run_index"],)

    async def _transfer_asked(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._transferred.wait(), seconds + TRANSFER_SECONDS)
        except builtins.TimeoutError:
            bound = seconds + TRANSFER_SECONDS
            raise TimeoutError(f"nobody asked for the image within {bound:g} s of its exposure") from None

    async def _run(self, address: str, given: Mapping[str, str], tell: Any = None) -> None:
        arguments = {
            name: plain(given[source]) if isinstance(source, str) and source in given else source
            for name, source in (self._mapping.arguments or {}).items()
        }
        await self._neighbours.run(address, arguments, tell)


def _named(call: OperationCall, names: Sequence[str]) -> dict[str, str]:
    if len(call.words) < len(names) - 1:  # the session id may be left out
        raise BadValueError(f"{call.name} has {len(call.words)} arguments; {' '.join(names)} are expected")
    return dict(zip(names, (*call.words, ""), strict=False))
