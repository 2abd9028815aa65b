"""A history in PostgreSQL as its recorder writes it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg

from servers.history.postgres_history import PostgresHistory
from servers.history.postgres_schema import NOT_CONNECTED, QUALITY_OF, TABLES, make_tables, table_of
from servers.history.store import Batch, Facts, Sample

SWEEP_S: Final = 600.0
MICROSECOND_NS: Final = 1000


class PostgresStore(PostgresHistory):
    """Writes the samples of one facility, each batch in a transaction.

    Args:
        url, facility: see `PostgresHistory`.
        keep_s: for how long samples are kept, s; None for ever. `describe` may say otherwise for some PVs.
    """

    def __init__(self, url: str, facility: str, *, keep_s: float | None = None) -> None:
        self._keep_s = keep_s
        self._places_known: dict[str, tuple[int, str]] = {}
        self._swept = time.monotonic()
        super().__init__(url, facility)

    @property
    def size_bytes(self) -> int:
        """Not known: the database may have more than this history."""
        return 0

    def write(self, batch: Batch) -> None:
        with self._answering() as connection:
            query = "SELECT batch FROM diptych_batch WHERE cs_name = %s FOR UPDATE"
            written = connection.execute(query, (self._facility,)).fetchone()
            if written and written[0] == batch.id:
                return
            self._add(
                {sample.pv: Facts() for sample in batch.samples if sample.pv not in self._places_known}, connection
            )
            for table in TABLES:
                self._copy(connection, table, batch.samples)
            connection.execute(
                """INSERT INTO diptych_batch VALUES (%s, %s, %s)
                ON CONFLICT (cs_name) DO UPDATE SET batch = excluded.batch, alive_s = excluded.alive_s""",
                (self._facility, batch.id, batch.now_s),
            )
        if time.monotonic() - self._swept > SWEEP_S:
            self._swept = time.monotonic()
            self.sweep()

    def describe(self, facts: Mapping[str, Facts], keep_s: Mapping[str, float]) -> None:
        if not facts:
            return
        with self._answering() as connection:
            self._add(facts, connection)
            known = self.pvs_in(connection)
            for name, each in facts.items():
                number, _ = self._places_known[name]
                keep = keep_s.get(name, self._keep_s)
                device = each.device.split("/") if each.device.count("/") == 2 else ("", "", "")
                connection.execute(
                    """UPDATE att_conf SET domain = %s, family = %s, member = %s, name = %s, ttl = %s
                    WHERE att_conf_id = %s""",
                    (*device, each.part, None if keep is None else round(keep), number),
                )
                if known.get(number) != (each.unit, list(each.labels), each.kind):
                    connection.execute(
                        """INSERT INTO att_parameter (att_conf_id, label, unit, enum_labels, data_type)
                        VALUES (%s, %s, %s, %s, %s)""",
                        (number, name, each.unit, list(each.labels), each.kind),
                    )

    def pvs_in(self, connection: psycopg.Connection[Any]) -> dict[int, tuple[str, list[str], str]]:
        """What was said last of each PV: unit, labels and kind by its number."""
        query = """SELECT DISTINCT ON (att_conf_id) att_conf_id, unit, enum_labels, data_type FROM att_parameter
            ORDER BY att_conf_id, recv_time DESC"""
        return {number: (unit, labels, kind) for number, unit, labels, kind in connection.execute(query)}

    def sweep(self) -> None:
        """Drop what is older than what is kept; the newest sample of a PV stays, its value may hold until now."""
        with self._answering() as connection:
            for table in TABLES:
                connection.execute(
                    f"""DELETE FROM {table} t USING att_conf c WHERE t.att_conf_id = c.att_conf_id AND c.cs_name = %s
                    AND t.data_time < (SELECT max(data_time) FROM {table} n WHERE n.att_conf_id = c.att_conf_id
                        AND n.data_time < now() - make_interval(secs => c.ttl))""",
                    (self._facility,),
                )

    def _prepare(self, connection: psycopg.Connection[Any]) -> None:
        make_tables(connection)
        connection.commit()
        query = "SELECT att_name, att_conf_id, table_name FROM att_conf WHERE cs_name = %s"
        rows = connection.execute(query, (self._facility,))
        self._places_known = {name: (number, table) for name, number, table in rows}
        connection.commit()

    def _add(self, facts: Mapping[str, Facts], connection: psycopg.Connection[Any]) -> None:
        """Give numbers to PVs that have none; those of a transaction that fails are asked for again."""
        for name, each in facts.items():
            if name not in self._places_known:
                row = connection.execute(
                    """INSERT INTO att_conf (att_name, table_name, cs_name, ttl) VALUES (%s, %s, %s, %s)
                    RETURNING att_conf_id, table_name""",
                    (name, table_of(each), self._facility, None if self._keep_s is None else round(self._keep_s)),
                ).fetchone()
                assert row is not None
                self._places_known[name] = (row[0], row[1])

    def _copy(self, connection: psycopg.Connection[Any], table: str, samples: Sequence[Sample]) -> None:
        rows = [(place[0], sample) for sample in samples if (place := self._places_known[sample.pv])[1] == table]
        if not rows:
            return
        columns = "att_conf_id, data_time, value_r, quality, att_error_desc_id"
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for number, sample in rows:
                quality = QUALITY_OF[sample.severity]
                error = None if sample.is_connected else NOT_CONNECTED
                value = _value(table, sample.value) if sample.is_connected else None
                copy.write_row((number, _timestamp(sample.time_ns), value, quality, error))


def _value(table: str, value: float) -> float | int | bool | None:
    if table == "att_scalar_devdouble":
        return value
    if value != value:
        return None
    return bool(value) if table == "att_scalar_devboolean" else int(value)


def _timestamp(time_ns: int) -> str:
    """A time as PostgreSQL reads it, to its microsecond."""
    seconds, rest = divmod(time_ns // MICROSECOND_NS, 1_000_000)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(seconds))}.{rest:06d}+00"
