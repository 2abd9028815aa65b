"""Operations of DCSS that are plain functions of a Python module; no device, no database.

    def heat(seconds: float, power: float = 1.0) -> str:
        '''Melt the ice.'''

is the operation ``heat SECONDS [POWER]``. What a generator yields are updates, what it returns completes
the operation; a stop or an abort ends it at the next ``yield``.
A function may be ``async``; any other runs in a thread. One whose first argument is an `OperationCall` has the call.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import typing
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from devices.core.errors import BadValueError, ConfigurationError
from devices.dcss.operation import OperationCall, Work

WORDS: Final = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}


class FunctionOperation:
    """One function as an operation.

    Raises:
        ConfigurationError: an argument has a type that no word has: only str, int, float, bool.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        hints = typing.get_type_hints(function)
        parameters = list(inspect.signature(function).parameters.values())
        self._has_call = bool(parameters) and hints.get(parameters[0].name) is OperationCall
        self._parameters = parameters[self._has_call :]
        self._kinds = {each.name: hints.get(each.name, str) for each in self._parameters}
        wrong = [f"{name}: {kind}" for name, kind in self._kinds.items() if kind not in (str, int, float, bool)]
        if wrong:
            raise ConfigurationError(
                function.__qualname__, [f"{each} is none of str, int, float, bool" for each in wrong]
            )

    async def __call__(self, call: OperationCall) -> Sequence[object] | str | None:
        given = ([call] if self._has_call else []) + self._arguments(call)
        function = self._function
        if inspect.isasyncgenfunction(function):
            async for update in function(*given):
                call.update(*_words(update))
            return None
        if inspect.iscoroutinefunction(function):
            return _words(await function(*given))
        if inspect.isgeneratorfunction(function):
            return _words(await self._generated(function(*given), call))
        return _words(await asyncio.to_thread(function, *given))

    async def _generated(self, steps: Any, call: OperationCall) -> Any:
        def step() -> tuple[bool, Any]:
            try:
                return False, next(steps)
            except StopIteration as end:
                return True, end.value

        running: asyncio.Future[tuple[bool, Any]] | None = None
        try:
            while not call.stop_requested.is_set():
                running = asyncio.ensure_future(asyncio.to_thread(step))
                is_over, value = await asyncio.shield(running)
                if is_over:
                    return value
                call.update(*_words(value))
            return None
        finally:
            # Its ``finally`` puts things right, also after an abort: as soon as the step that runs has ended.
            if running is not None and not running.done():
                await asyncio.wait({running})
            await asyncio.to_thread(steps.close)

    def _arguments(self, call: OperationCall) -> list[Any]:
        positional = [each for each in self._parameters if each.kind is not each.VAR_POSITIONAL]
        has_rest = len(positional) < len(self._parameters)
        if len(call.words) > len(positional) and not has_rest:
            raise BadValueError(f"{call.name} takes {len(positional)} arguments, not {len(call.words)}")
        if missing := [each.name for each in positional[len(call.words) :] if each.default is each.empty]:
            raise BadValueError(f"{call.name}: {', '.join(missing)} is missing")
        names = [each.name for each in positional]
        if has_rest:
            names += [self._parameters[-1].name] * len(call.words)
        return [_converted(self._kinds[name], word, name) for name, word in zip(names, call.words, strict=False)]


def functions_of(module: ModuleType) -> dict[str, Work]:
    """The operations of a module: its public functions, or those of ``__all__``.

    Raises:
        ConfigurationError: one of them cannot be an operation; or there is none.
    """
    wanted = getattr(module, "__all__", None) or [
        name
        for name, item in vars(module).items()
        if not name.startswith("_") and inspect.isfunction(item) and item.__module__ == module.__name__
    ]
    if not wanted:
        raise ConfigurationError(module.__name__, ["no function that could be an operation"])
    return {name: FunctionOperation(getattr(module, name)) for name in wanted}


def import_functions(name: str) -> dict[str, Work]:
    """The operations of a module by its import path.

    Raises:
        ConfigurationError: it cannot be imported, and see `functions_of`.
    """
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(name, [f"cannot be imported: {error}"]) from error
    return functions_of(module)


def _words(value: Any) -> Sequence[object]:
    if value is None:
        return ()
    return list(value) if isinstance(value, list | tuple) else (value,)


def _converted(kind: type, word: str, name: str) -> Any:
    try:
        return WORDS[word.lower()] if kind is bool else kind(word)
    except (KeyError, ValueError):
        raise BadValueError(f"{name} = {word!r} is no {kind.__name__}") from None
