"""The arguments of a command as records, and what clients put there as Tango wants it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tango

from devices.core.errors import BadValueError
from servers.epics import names
from servers.epics.declaration import ArgumentSpec, CommandSpec
from servers.epics.records import Facts, Kind, Put, Reading, Record

RESULT_LIMIT = 65_536  # bytes of a result's text
ARRAY_LENGTH = 10_000  # elements of an argument or result


class Arguments:
    """The records that take a command's arguments.

    Attributes:
        main: the record that a put runs. Without arguments it is an integer that takes anything; with one it is that
            argument; with several it is a text: ``1`` runs with the values of ``records``, a JSON object has them all.
        records: one for each of several arguments, by name.
    """

    def __init__(self, pv: str, spec: CommandSpec) -> None:
        self._spec = spec
        self.records: dict[str, Record] = {}
        facts = Facts(description=spec.doc)
        if not spec.arguments:
            self.main = Record(pv, Kind.INT32, value=0, facts=facts, takes_anything=True, level=spec.level)
        elif len(spec.arguments) == 1:
            only = spec.arguments[0]
            described = replace(only.facts, description=only.facts.description or spec.doc)
            self.main = _argument_record(pv, replace(only, facts=described), spec.level)
        else:
            self.main = Record(pv, Kind.STRING, value="", facts=facts, level=spec.level)
            for argument in spec.arguments:
                record = _argument_record(f"{pv}:{names.segment(argument.name)}", argument, spec.level)
                record.handler = _keep(record)
                self.records[argument.name] = record

    def for_tango(self, value: Any) -> Any:
        """The argument of the Tango command when ``value`` was put to the main record; None for no argument.

        Raises:
            BadValueError: a text that is neither ``1`` nor a JSON object of known arguments.
            RangeError: one of them does not fit.
        """
        if not self._spec.arguments:
            return None
        if len(self._spec.arguments) == 1:
            return _for_tango(value, self.main, self._spec.arguments[0], self._spec.described)
        for name, argument in self._given(value).items():
            self.records[name].show(self.records[name].convert(argument))
        return json.dumps({
            argument.name: _plain(_for_tango(record.reading.value, record, argument, described=True))
            for argument, record in zip(self._spec.arguments, self.records.values(), strict=True)
        })  # fmt: skip

    def _given(self, text: str) -> dict[str, Any]:
        text = text.strip("\0\1 \t\r\n")
        if text in ("", "1"):
            return {}
        try:
            given = json.loads(text)
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
    length = ARRAY_LENGTH if result.rank else 1
    record = Record(name, result.kind, rank=min(result.rank, 1), max_length=length, facts=result.facts)
    record.reading = Reading(record.blank(), time.time_ns())
    return record


def _argument_record(name: str, argument: ArgumentSpec, level: str) -> Record:
    record = Record(
        name,
        argument.kind,
        rank=min(argument.rank, 1),
        max_length=ARRAY_LENGTH if argument.rank else 1,
        text_limit=argument.text_limit,
        facts=argument.facts,
        level=level,
    )
    default = record.blank() if argument.default is None else record.convert(argument.default)
    record.reading = Reading(default, time.time_ns())
    return record


def _keep(record: Record) -> Callable[[Put], None]:
    """A handler that only remembers the value: the argument of a later run."""

    def handler(put: Put) -> None:
        record.show(put.value)
        put.finish()

    return handler


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
