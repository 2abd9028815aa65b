"""Run one simulator of ``devices.simulators`` as a process."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
import signal
from collections.abc import Iterable, Mapping

from devices.core.errors import BadValueError, BusyError, UnknownNameError
from servers.facility import leash
from servers.facility.port_check import is_taken, port_holder
from servers.facility.spelling import did_you_mean
from servers.log.formatter import log_to_stderr


def run(kind: str, port: int, options: Mapping[str, object]) -> None:
    """Run ``devices.simulators.KIND`` until SIGTERM or SIGINT.

    Raises:
        UnknownNameError: there is no such simulator.
        BusyError: somebody has the port.
    """
    try:
        module = importlib.import_module(f"devices.simulators.{kind}")
        simulate = module.run
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name != f"devices.simulators.{kind}":
            raise  # it exists, and misses something itself
        raise UnknownNameError(f"there is no simulator {kind}{did_you_mean(kind, kinds())}") from None
    if port and is_taken(port):
        raise BusyError(f"port {port} is in use by {port_holder(port)}; end that, or choose another --port")
    leash.attach()
    log_to_stderr()

    async def until_signal() -> None:
        task = asyncio.ensure_future(simulate(port, options))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(until_signal())


def kinds() -> list[str]:
    """The simulators that exist: the modules with a ``run`` cannot be told without an import, so all modules."""
    import devices.simulators

    names = (module.name for module in pkgutil.iter_modules(devices.simulators.__path__))
    return sorted(name for name in names if not name.startswith("_"))


def parse_options(words: Iterable[str]) -> dict[str, object]:
    """``["model=24C", "speed=10"]`` -> ``{"model": "24C", "speed": 10}``.

    Raises:
        BadValueError: a word is not of the form KEY=VALUE.
    """
    options: dict[str, object] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not (key and equals):
            raise BadValueError(f"--option {word} is not of the form KEY=VALUE")
        options[key] = _value(text)
    return options


def _value(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text
