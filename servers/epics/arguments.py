"""The arguments of a command as records, and what clients put there as Tango wants it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tango

from devices.core.errors import BadValueError
from devices.core.json_text import read_json_text
from devices.core.live import check_limits
from servers.epics import names
from servers.epics.declaration import ArgumentSpec, CommandSpec
from servers.epics.records import Facts, Kind, Put, Reading, Record

JSON_LIMIT = 65_536  # bytes of a text with all arguments, where they do not ask for more
RESULT_LIMIT = 1 << 20  # bytes of a result's text; a device gives no more


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arguments that were checked: as Tango wants them, and as the main record shows them."""

    for_tango: tuple[Any, ...]
    shown: Any


class Arguments:
    """The records that take a command's arguments.

    Attributes:
        main: the record that a put runs. Without arguments it is an integer that takes anything; with one it is that
            argument; with several it is a text: ``1`` runs with the values of ``records``; a JSON object has
            all that are not to have their defaults, so that nothing which another client put into ``records`` counts.
        records: one for each argument, by name: it remembers what was put there.
        run: a put of anything runs with the values of ``records``; None without arguments.
    """

    def __init__(self, pv: str, spec: CommandSpec) -> None:
        self._spec = spec
        self.records: dict[str, Record] = {}
        self.run: Record | None = None
        facts = Facts(description=spec.doc)
        if not spec.arguments:
            self.main = Record(pv, Kind.INT32, value=0, facts=facts, takes_anything=True, level=spec.level)
        elif len(spec.arguments) == 1:
            only = spec.arguments[0]
            described = replace(only.facts, description=only.facts.description or spec.doc)
            self.main = _argument_record(pv, replace(only, facts=described), spec.level)
        else:
            limit = max(JSON_LIMIT, sum(argument.text_limit for argument in spec.arguments))
            self.main = Record(pv, Kind.STRING, value="", text_limit=limit, facts=facts, level=spec.level)
        for argument in spec.arguments:
            record = _argument_record(f"{pv}:{names.segment(argument.name)}", argument, spec.level)
            record.handler = _keep(record)
            self.records[argument.name] = record
        if spec.arguments:
            self.run = Record(pv + names.RUN, Kind.INT32, value=0, facts=facts, takes_anything=True, level=spec.level)
        for runs in (self.main, self.run):
            if runs is not None:
                runs.is_dangerous, runs.reads_only = spec.is_dangerous, spec.reads_only

    def of_put(self, value: Any) -> Prepared:
        """The arguments when ``value`` was put to the main record.

        Raises:
            BadValueError: a text that is neither ``1`` nor a JSON object of known arguments; one that has no default is
                missing.
            RangeError: one of them does not fit.
        """
        if not self._spec.arguments:
            return Prepared((), 1)
        if len(self._spec.arguments) == 1:
            next(iter(self.records.values())).show(value)
            return self._only(value)
        text = value.strip("\0\1 \t\r\n")
        return self.of_run() if text in ("", "1") else self.of_call(self._given(text))

    def of_run(self) -> Prepared:
        """The arguments as they stand in their records."""
        values = {name: record.reading.value for name, record in self.records.items()}
        return self._several(values) if len(values) > 1 else self._only(*values.values())

    def of_call(self, named: Mapping[str, Any]) -> Prepared:
        """The arguments of a call by name; those that are left out have their declared defaults.

        Raises:
            BadValueError: an unknown one, or one without a default is missing.
            RangeError: one of them does not fit.
        """
        arguments = {argument.name: argument for argument in self._spec.arguments}
        problems = [f"unknown argument {name}" for name in sorted(set(named) - set(arguments))]
        values: dict[str, Any] = {}
        for name, argument in arguments.items():
            if name in named:
                values[name] = self.records[name].convert(_listed(named[name]) if argument.rank else named[name])
            elif argument.required and argument.default is None:
                problems.append(f"{name} is missing")
            else:
                values[name] = _default(self.records[name], argument)
        if problems:
            raise BadValueError(f"{self.main.name}({', '.join(arguments)}): {', '.join(problems)}")
        if not arguments:
            return Prepared((), 1)
        return self._several(values) if len(values) > 1 else self._only(*values.values())

    def _only(self, value: Any) -> Prepared:
        return Prepared((_for_tango(value, self.main, self._spec.arguments[0], self._spec.described),), value)

    def _several(self, values: Mapping[str, Any]) -> Prepared:
        text = json.dumps({
            argument.name: _plain(_for_tango(values[argument.name], self.records[argument.name], argument, True))
            for argument in self._spec.arguments
        })  # fmt: skip
        return Prepared((text,), text)

    def _given(self, text: str) -> dict[str, Any]:
        try:
            given = read_json_text(text)
        except ValueError:
            given = None
        if not isinstance(given, dict) or set(given) - set(self.records):
            wanted = ", ".join(self.records)
            raise BadValueError(f"{self.main.name} = {text[:40]!r} is neither 1 nor a JSON object of {wanted}")
        return given


def result_record(name: str, result: ArgumentSpec | None) -> Record:
    """The record of a command's result; without a declared one it is a text."""
    if result is None or (result.kind is Kind.STRING and not result.rank):
        return Record(name, Kind.STRING, value="", text_limit=RESULT_LIMIT)
    record = _typed_record(name, result, "operator")
    record.reading = Reading(record.blank(), time.time_ns())
    return record


def _argument_record(name: str, argument: ArgumentSpec, level: str) -> Record:
    record = _typed_record(name, argument, level)
    record.reading = Reading(_default(record, argument), time.time_ns())
    return record


def _typed_record(name: str, argument: ArgumentSpec, level: str) -> Record:
    return Record(
        name,
        argument.kind,
        rank=min(argument.rank, 1),
        max_length=argument.max_length if argument.rank else 1,
        text_limit=argument.text_limit,
        facts=argument.facts,
        level=level,
    )


def _default(record: Record, argument: ArgumentSpec) -> Any:
    if argument.default is not None:
        return record.convert(argument.default)
    blank, (low, high) = record.blank(), argument.facts.limits
    if argument.rank or not argument.kind.is_number:
        return blank
    # The nearest to 0 that is allowed.
    nearest = blank if low is None else max(blank, low)
    return record.convert(nearest if high is None else min(nearest, high))


def _keep(record: Record) -> Callable[[Put], None]:
    """A handler that only remembers the value: the argument of a later run."""

    def handler(put: Put) -> None:
        check_limits(record.name, put.value, record.facts.limits, record.facts.unit)
        record.show(put.value)
        put.finish()

    return handler


def _listed(value: Any) -> Any:
    """A list that was given as text, ``[1, 2]``, as one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return read_json_text(value)
        except ValueError as error:
            raise BadValueError(f"{value[:40]!r} is not a list: {error}") from None
    return value


def _for_tango(value: Any, record: Record, argument: ArgumentSpec, described: bool) -> Any:
    """An enumeration travels as its label, a single state as Tango's own type."""
    if argument.kind is not Kind.ENUM:
        return value
    if argument.is_state and not argument.rank:
        return tango.DevState(value)
    if not described or not record.facts.labels:
        return value
    labels = record.facts.labels
    return [labels[index] for index in value] if argument.rank else labels[value]


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, tango.DevState):
        return str(value)
    return value.tolist() if isinstance(value, np.ndarray) else value
