"""A history in PostgreSQL as trends and scripts read it."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import psycopg

from devices.core.errors import RangeError, UnknownNameError
from servers.facility.spelling import did_you_mean
from servers.history.postgres_schema import SEVERITY
from servers.history.sqlite_file import summaries
from servers.history.store import MAX_POINTS, NANOSECONDS, Columns, Facts, Sample, StoreAwayError, Trend

CONNECT_S: Final = 4
ANSWER_S: Final = 20.0
MICROSECOND_NS: Final = 1000

_TIME: Final = "(extract(epoch FROM {}) * 1000000)::bigint * 1000"
_VALUE: Final = "value_r::{}double precision"
_LAST: Final = "SELECT unit, enum_labels, data_type FROM att_parameter p WHERE p.att_conf_id = c.att_conf_id"


class PostgresHistory:
    """Reads what a `PostgresStore` wrote. It connects when asked, and again when the connection was lost.

    Args:
        url: ``postgresql://USER:PASSWORD@HOST:PORT/NAME``; it appears in no text.
        facility: whose PVs; a database may have several.
    """

    def __init__(self, url: str, facility: str) -> None:
        self._url, self._facility = url, facility
        self._connection: psycopg.Connection[Any] | None = None
        with self._answering():
            pass

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def pvs(self) -> dict[str, Facts]:
        query = f"""SELECT att_name, domain, family, member, name, p.unit, p.enum_labels, p.data_type
            FROM att_conf c LEFT JOIN LATERAL ({_LAST} ORDER BY recv_time DESC LIMIT 1) p ON true
            WHERE cs_name = %s ORDER BY att_name"""
        with self._answering() as connection:
            rows = connection.execute(query, (self._facility,)).fetchall()
        return {name: _facts(*rest) for name, *rest in rows}

    def query(self, pvs: Sequence[str], from_s: float, to_s: float, max_points: int = MAX_POINTS) -> list[Trend]:
        if not from_s <= to_s:
            raise RangeError(f"to_s = {to_s} s is before from_s = {from_s} s")
        if max_points < 1:
            raise RangeError(f"max_points = {max_points} is below 1")
        from_ns, to_ns = round(from_s * NANOSECONDS), round(to_s * NANOSECONDS)
        facts = self.pvs()
        with self._answering() as connection:
            places = self._places(connection, pvs)
            return [
                self._trend(connection, name, facts[name], *places[name], from_ns, to_ns, max_points) for name in pvs
            ]

    def latest(self, pvs: Sequence[str]) -> list[Sample | None]:
        with self._answering() as connection:
            places = self._places(connection, pvs)
            found: list[Sample | None] = []
            for name in pvs:
                number, table = places[name]
                points = _points(connection, table, "att_conf_id = %s ORDER BY data_time DESC LIMIT 1", (number,))
                found.extend(_samples(name, points) or [None])
        return found

    def alive_s(self) -> float | None:
        """The time of the newest batch, s since 1970; None before the first."""
        with self._answering() as connection:
            row = connection.execute(
                "SELECT alive_s FROM diptych_batch WHERE cs_name = %s", (self._facility,)
            ).fetchone()
        return row[0] if row else None

    def _places(self, connection: psycopg.Connection[Any], pvs: Sequence[str]) -> dict[str, tuple[int, str]]:
        """PV -> its number, and the table of its samples."""
        query = "SELECT att_name, att_conf_id, table_name FROM att_conf WHERE cs_name = %s"
        known = {name: (number, table) for name, number, table in connection.execute(query, (self._facility,))}
        for name in pvs:
            if name not in known:
                raise UnknownNameError(f"nothing is recorded of {name}{did_you_mean(name, known)}")
        return known

    def _trend(
        self, connection: psycopg.Connection[Any], name: str, facts: Facts, number: int, table: str,
        from_ns: int, to_ns: int, max_points: int,
    ) -> Trend:  # fmt: skip
        span = (number, from_ns / NANOSECONDS, to_ns / NANOSECONDS)
        before = _points(
            connection,
            table,
            "att_conf_id = %s AND data_time < to_timestamp(%s) ORDER BY data_time DESC LIMIT 1",
            span[:2],
        )
        within = "att_conf_id = %s AND data_time BETWEEN to_timestamp(%s) AND to_timestamp(%s)"
        points = _points(connection, table, f"{within} ORDER BY data_time LIMIT %s", (*span, max_points + 1))
        if len(points) <= max_points:
            return Trend(name, facts, Columns.together([before, points]))
        width_us = max(1, math.ceil((to_ns - from_ns) / max_points / MICROSECOND_NS))
        points = _decimated(connection, table, within, span, width_us)
        points = replace(points, time_ns=np.maximum(points.time_ns, from_ns))
        return Trend(name, facts, Columns.together([before, points]), width_us * MICROSECOND_NS / NANOSECONDS)

    @contextmanager
    def _answering(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection in a transaction. A database that hangs is left after some seconds."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._url, connect_timeout=CONNECT_S)
                self._prepare(self._connection)
            connection = self._connection
            hung = threading.Timer(ANSWER_S, _cut, (os.dup(connection.fileno()),))
            hung.daemon = True
            hung.start()
            try:
                with connection.transaction():
                    yield connection
            finally:
                hung.cancel()
        except psycopg.Error as error:
            self.close()  # what was remembered of a transaction that failed is asked for again
            raise StoreAwayError(f"PostgreSQL: {' '.join(str(error).split())}") from error

    def _prepare(self, connection: psycopg.Connection[Any]) -> None:
        """What a new connection begins with."""


def _cut(number: int) -> None:
    """End a connection that has no answer; who waits for it gets an error."""
    with socket.socket(fileno=number) as own:
        own.shutdown(socket.SHUT_RDWR)


def _points(connection: psycopg.Connection[Any], table: str, which: str, values: Sequence[Any]) -> Columns:
    """Samples as points, in order of time."""
    connected = "att_error_desc_id IS NULL"
    value = _VALUE.format("int::" if table == "att_scalar_devboolean" else "")
    query = f"SELECT {_TIME.format('data_time')}, {value}, {SEVERITY}, {connected} FROM {table} WHERE {which}"
    rows = [
        (time_ns, int(value is not None and value == value), value, value, value, value, severity, is_connected)
        for time_ns, value, severity, is_connected in connection.execute(query, values)
    ]
    return Columns.together([summaries(rows)])


def _decimated(
    connection: psycopg.Connection[Any], table: str, within: str, span: Sequence[Any], width_us: int
) -> Columns:
    value = _VALUE.format("int::" if table == "att_scalar_devboolean" else "")
    start = _TIME.format(f"date_bin(interval '{width_us} microseconds', data_time, to_timestamp(0))")
    some = "FILTER (WHERE value <> 'NaN')"
    query = f"""SELECT start, count(value) {some}, min(value) {some}, max(value) {some}, sum(value) {some},
        (array_agg(value ORDER BY data_time DESC))[1], max(severity), bool_and(is_connected)
        FROM (SELECT {start} AS start, data_time, {value} AS value, {SEVERITY} AS severity,
            att_error_desc_id IS NULL AS is_connected FROM {table} WHERE {within}) AS samples
        GROUP BY start ORDER BY start"""
    return summaries(connection.execute(query, span).fetchall())


def _samples(name: str, points: Columns) -> list[Sample | None]:
    rows = zip(points.time_ns, points.last, points.severity, points.is_connected, strict=True)
    return [Sample(name, int(t), float(value), int(severity), bool(up)) for t, value, severity, up in rows]


def _facts(
    domain: str, family: str, member: str, name: str, unit: str | None, labels: list[str] | None, kind: str | None
) -> Facts:
    device = f"{domain}/{family}/{member}" if domain else ""
    return Facts(kind or "float64", unit or "", tuple(labels or ()), device, name)
