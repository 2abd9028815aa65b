"""Properties: the configuration of a device, typed, validated, all faults reported at once."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from devices.core.alarm import Range
from devices.core.dask_executor import scheduler_address
from devices.core.errors import ConfigurationError
from devices.core.executor import executor_factory

#: Properties that Tango itself keeps beside ours; they are not for the device.
TANGO_OWN = frozenset(
    "polled_attr polled_cmd non_auto_polled_attr non_auto_polled_cmd poll_ring_depth attr_poll_ring_depth "
    "cmd_poll_ring_depth min_poll_period attr_min_poll_period cmd_min_poll_period poll_old_factor blackbox_depth "
    "logging_level logging_target logging_rft logging_path __SubDevices autoalarmonchangeevent".split()
)
TRUE, FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


def setting(
    default: Any = dataclasses.MISSING,
    *,
    doc: str = "",
    limits: Range | None = None,
    check: Callable[[Any], object] | None = None,
) -> Any:
    """A field of a :class:`Properties` class; without ``default`` it must be given.

    Args:
        check: called with a value that was given; raises ValueError when it will not do.
    """
    # By keyword only, so that one without a default may follow those of the base class.
    return dataclasses.field(default=default, kw_only=True, metadata={"doc": doc, "limits": limits, "check": check})


@dataclass(frozen=True)
class Properties:
    """What every device can be told; a device declares its own by a frozen dataclass that inherits this.

    Attributes:
        pv_prefix: what its PV names begin with, e.g. ``CRYO1:``; empty: not mirrored.
        executor: where pipelines run: ``thread``, ``process``, ``process:N``, or ``module:factory`` of an executor of
            ``concurrent.futures`` shape.
        scheduler: the Dask scheduler whose workers run pipelines instead, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``;
            empty: none. Who reaches a scheduler runs programs there.
        scheduler_tls: the folder of ``ca.pem``, ``cert.pem`` and ``key.pem`` for a scheduler at ``tls://``.
    """

    pv_prefix: str = setting("", doc="What its PV names begin with, e.g. CRYO1:")
    executor: str = setting(
        "thread",
        doc="Where pipelines run: thread, process, process:N or module:factory",
        check=executor_factory,
    )
    scheduler: str = setting(
        "", doc="Dask scheduler that is used instead: tcp://HOST:PORT, tls://HOST:PORT", check=scheduler_address
    )
    scheduler_tls: str = setting("", doc="Folder of ca.pem, cert.pem and key.pem for tls://")

    @classmethod
    def parse(cls, raw: Mapping[str, Any], subject: str = "properties") -> Self:
        """Properties from texts (lists of texts, as a Tango database keeps them) or from JSON values.

        Raises:
            ConfigurationError: lists every unknown, missing and wrong one.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        hints = typing.get_type_hints(cls)
        given = {key: value for key, value in raw.items() if key not in TANGO_OWN}
        by_name = {name.casefold(): name for name in fields}
        problems: list[str] = []
        values: dict[str, Any] = {}
        for key, value in given.items():
            name = by_name.get(key.casefold())
            if name is None:
                near = difflib.get_close_matches(key, fields, n=1)
                problems.append(f"unknown property {key}" + (f" (did you mean {near[0]}?)" if near else ""))
                continue
            if name in values:
                problems.append(f"{name} is given twice, also as {key}")
                continue
            try:
                values[name] = _parse(hints[name], value)
                _check(values[name], fields[name].metadata.get("limits"))
                if check := fields[name].metadata.get("check"):
                    check(values[name])
            except ValueError as error:
                problems.append(f"{name} = {_shown(value)}: {error}")
        problems += [
            f"{name} is missing"
            for name, field in fields.items()
            if name not in values
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
            and not any(by_name.get(key.casefold()) == name for key in given)
        ]
        if problems:
            raise ConfigurationError(subject, problems)
        return cls(**values)


def _shown(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        value = value[0]
    return repr(value)


def _check(value: Any, limits: Range | None) -> None:
    if limits is None or value is None:
        return
    for number in value if isinstance(value, tuple) else (value,):
        low, high = limits
        if (low is not None and number < low) or (high is not None and number > high):
            raise ValueError(f"outside [{'-inf' if low is None else low}, {'inf' if high is None else high}]")


def _parse(hint: Any, value: Any) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value in (None, "", [], [""]):
            return None
        return _parse(next(choice for choice in inner if choice is not type(None)), value)
    if origin is tuple:
        items = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
        if inner[-1] is Ellipsis:
            return tuple(_parse(inner[0], item) for item in items)
        if len(items) != len(inner):
            raise ValueError(f"{len(inner)} values are expected, not {len(items)}")
        return tuple(_parse(hint, item) for hint, item in zip(inner, items, strict=True))
    if isinstance(value, Sequence) and not isinstance(value, str):
        if hint is str:
            return "\n".join(str(line) for line in value)
        if len(value) != 1:
            raise ValueError(f"one value is expected, not {len(value)}")
        value = value[0]
    if origin is typing.Literal:
        if str(value) not in inner:
            raise ValueError(f"none of {', '.join(map(str, inner))}")
        return str(value)
    return _scalar(hint, value)


def _scalar(hint: Any, value: Any) -> Any:
    if value is None:
        raise ValueError("no value")
    text = str(value).strip()
    if hint is bool:
        if text.casefold() not in TRUE | FALSE:
            raise ValueError("neither true nor false")
        return text.casefold() in TRUE
    if hint is int:
        try:
            return int(text)
        except ValueError:
            raise ValueError("not a whole number") from None
    if hint is float:
        try:
            number = float(text)
        except ValueError:
            raise ValueError("not a number") from None
        if not math.isfinite(number):
            raise ValueError("not a finite number")
        return number
    if hint is Path:
        return Path(text)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        for member in hint:
            if text.casefold() in (member.name.casefold(), str(member.value).casefold()):
                return member
        raise ValueError(f"none of {', '.join(member.name for member in hint)}")
    return str(value)
