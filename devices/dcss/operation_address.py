"""Operations of DCSS that a neighbour does: a command, an operation, or a put."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devices.core.errors import AbortedError, BadValueError
from devices.core.neighbours import Neighbours
from devices.dcss.operation import OperationCall
from devices.dcss.string import shown

#: In the place of an address: a stop aborts the call.
ABORT: Final = "abort"


@dataclass(frozen=True)
class AddressOperation:
    """Calls a neighbour with the words of DCSS.

    Args:
        run: a command or operation. put: or an attribute or PV, which takes the first word, or ``value``.
        arguments: their names, in the order of the words; the last one takes all that is left when it is a text.
        texts: those of them that are texts whatever they look like.
        constants: arguments that DCSS does not give.
        results: the keys of a result that are told, in this order; all without it.
        updates: whether the progress of an operation is told: ``progress PERCENT MESSAGE``.
        stop: a command that ``stoh_stop_operation`` runs; or ``abort``: it aborts this call.
        seconds: the longest it may take, s.
    """

    neighbours: Neighbours
    run: str | None = None
    put: str | None = None
    value: Any = None
    arguments: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    constants: Mapping[str, Any] | None = None
    results: tuple[str, ...] = ()
    updates: bool = False
    stop: str | None = None
    seconds: float | None = None

    async def __call__(self, call: OperationCall) -> Sequence[object]:
        if self.put is not None:
            if self.value is None and not call.words:
                raise BadValueError(f"{call.name}: the value is missing")
            await self.neighbours.put(self.put, call.words[0] if self.value is None else self.value)
            return ()
        assert self.run is not None
        if self.stop is None:
            return words_of(await self._run(call), self.results)
        running = asyncio.create_task(self._run(call), name=call.name)
        stopping = asyncio.create_task(self._stop_when_asked(call, running), name=f"stop {call.name}")
        try:
            return words_of(await running, self.results)
        except asyncio.CancelledError:
            if stopping.done() and not stopping.cancelled():
                raise AbortedError(f"{call.name} was stopped") from None
            raise
        finally:
            stopping.cancel()

    async def _run(self, call: OperationCall) -> Any:
        assert self.run is not None

        def tell(percent: float, message: str) -> None:
            call.update("progress", round(percent, 1), message[:60])

        arguments = {**self._named(call), **(self.constants or {})}
        return await self.neighbours.run(self.run, arguments, tell if self.updates else None, self.seconds)

    async def _stop_when_asked(self, call: OperationCall, running: asyncio.Task[Any]) -> None:
        assert self.stop is not None
        await call.stop_requested.wait()
        if self.stop == ABORT:
            running.cancel()
        else:
            await self.neighbours.run(self.stop, {})

    def _named(self, call: OperationCall) -> dict[str, Any]:
        words = list(call.words)
        if len(words) > len(self.arguments) and (not self.arguments or self.arguments[-1] not in self.texts):
            known = " ".join(self.arguments) or "none"
            raise BadValueError(
                f"{call.name} has {len(words)} arguments, at most {len(self.arguments)} are taken: {known}"
            )
        if len(words) > len(self.arguments):
            first = len(self.arguments) - 1
            words[first:] = [" ".join(words[first:])]
        return {
            name: word if name in self.texts else plain(word) for name, word in zip(self.arguments, words, strict=False)
        }


def plain(word: str) -> int | float | bool | str:
    """A word as the number that it looks like; otherwise as it is."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(word.lower(), word)


def words_of(result: Any, keys: Sequence[str] = ()) -> list[str]:
    """A result as words.

    Args:
        keys: those of an object that are wanted.
    Raises:
        BadValueError: it has no such key.
    """
    if result is None:
        return []
    if isinstance(result, Mapping):
        if missing := [key for key in keys if key not in result]:
            raise BadValueError(f"the result has no {', '.join(missing)}; it has {', '.join(result)}")
        return [shown(result[key], ".6g") for key in (keys or result)]
    if isinstance(result, list | tuple):
        return [shown(each, ".6g") for each in result]
    return [shown(result, ".6g")]
