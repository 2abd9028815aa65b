"""The tables of a history in PostgreSQL, as HDB++ has them, so that its viewers and scripts read them.

A PV is an attribute there: ``att_name`` is the PV; ``domain``, ``family``, ``member``, ``name`` are Tango's. A sample
is a row of its type's table, with Tango's quality; a PV that is not connected has an error and no value.

Source:
    HDB++, libhdbpp-timescale, db-schema/schema.sql (tables and columns; not its text).
"""

from __future__ import annotations

from typing import Any, Final

from servers.history.store import Facts

#: Table -> type of its values.
TABLES: Final = {
    "att_scalar_devdouble": "double precision",
    "att_scalar_devlong64": "bigint",
    "att_scalar_devenum": "smallint",
    "att_scalar_devboolean": "boolean",
}
#: Tango's attribute qualities by EPICS severity: VALID 0, INVALID 1, ALARM 2, WARNING 4.
QUALITY_OF: Final = (0, 4, 2, 1)
SEVERITY: Final = "CASE quality WHEN 0 THEN 0 WHEN 4 THEN 1 WHEN 2 THEN 2 WHEN 1 THEN 3 ELSE 0 END"
NOT_CONNECTED: Final = 1  # the row of att_error_desc
CHUNK: Final = "1 day"
#: Two recorders that begin together must not both make the tables.
LOCK: Final = 0x4469_7074

_COMMON: Final = """
CREATE TABLE IF NOT EXISTS att_conf (
    att_conf_id serial PRIMARY KEY, att_name text NOT NULL, table_name text NOT NULL, cs_name text NOT NULL,
    domain text NOT NULL DEFAULT '', family text NOT NULL DEFAULT '', member text NOT NULL DEFAULT '',
    name text NOT NULL DEFAULT '', ttl integer, hide boolean NOT NULL DEFAULT false,
    UNIQUE (cs_name, att_name)
);
CREATE TABLE IF NOT EXISTS att_parameter (
    att_conf_id integer NOT NULL REFERENCES att_conf, recv_time timestamptz NOT NULL DEFAULT now(),
    label text NOT NULL DEFAULT '', unit text NOT NULL DEFAULT '', enum_labels text[] NOT NULL DEFAULT '{}',
    data_type text NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS att_parameter_time ON att_parameter (att_conf_id, recv_time DESC);
CREATE TABLE IF NOT EXISTS att_error_desc (att_error_desc_id integer PRIMARY KEY, error_desc text NOT NULL UNIQUE);
INSERT INTO att_error_desc VALUES (1, 'not connected') ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS diptych_batch (
    cs_name text PRIMARY KEY, batch bigint NOT NULL, alive_s double precision NOT NULL
);
"""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS {table} (
    att_conf_id integer NOT NULL REFERENCES att_conf, data_time timestamptz NOT NULL, value_r {type}, value_w {type},
    quality smallint NOT NULL, att_error_desc_id integer REFERENCES att_error_desc, details json
);
CREATE INDEX IF NOT EXISTS {table}_time ON {table} (att_conf_id, data_time DESC);
"""


def make_tables(connection: Any) -> None:
    """Make what is missing; tables become hypertables where the database has TimescaleDB."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute(_COMMON)
        for table, type_ in TABLES.items():
            connection.execute(_TABLE.format(table=table, type=type_))
        if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone():
            for table in TABLES:
                connection.execute(
                    f"SELECT create_hypertable('{table}', 'data_time', chunk_time_interval => interval '{CHUNK}', "
                    f"if_not_exists => true, migrate_data => true)"
                )


def table_of(facts: Facts) -> str:
    """Where the samples of a PV belong."""
    if facts.kind == "bool":
        return "att_scalar_devboolean"
    if facts.kind in ("enum", "state"):
        return "att_scalar_devenum"
    # uint64 goes beyond bigint.
    whole = facts.kind.startswith(("int", "uint")) and facts.kind != "uint64"
    return "att_scalar_devlong64" if whole else "att_scalar_devdouble"
