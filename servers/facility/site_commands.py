"""The commands for a facility at a site: its database, backups, and who keeps its processes running."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from servers.options import option_group, port_offset_option, state_dir_option, tango_host_option

_file = click.argument("file", metavar="FACILITY", type=click.Path(path_type=Path, dir_okay=False))


@click.command()
@_file
@option_group(state_dir_option(), port_offset_option())
@click.option("--tango-host", metavar="HOST:PORT", required=True, help="Where the facility moves.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def migrate(file: Path, state_dir: Path, port_offset: int, tango_host: str, dry_run: bool) -> None:
    """Move a facility that does not run from its embedded database to that of a site."""
    from servers.facility import migration

    for line in migration.migrate(
        file, state_dir=state_dir, port_offset=port_offset, tango_host=tango_host, dry_run=dry_run
    ):
        click.echo(line)


@click.command()
@_file
@click.argument("target", metavar="BACKUP", type=click.Path(path_type=Path, dir_okay=False))
@option_group(state_dir_option(), tango_host_option())
def backup(file: Path, target: Path, state_dir: Path, tango_host: str | None) -> None:
    """Write the configuration of a facility, and what its database has of it, into one file, BACKUP.tar.gz."""
    from servers.facility import backup as module
    from servers.facility.facility_file import read_facility

    facility = read_facility(file, state_dir=state_dir, to_run=False)
    with _database(state_dir, tango_host or facility.tango_host, create=False) as host:
        for line in module.back_up(facility, host, target):
            click.echo(line)


@click.command()
@click.argument("source", metavar="BACKUP", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
@option_group(state_dir_option(), tango_host_option())
@click.option("--overwrite", is_flag=True, help="Replace files that differ from the backup.")
def restore(source: Path, folder: Path, state_dir: Path, tango_host: str | None, overwrite: bool) -> None:
    """Write the files of BACKUP into FOLDER, and bring the database of the facility back to what it was."""
    from servers.facility import backup as module
    from servers.facility.facility_file import read_facility

    name = module.facility_name(source)
    for line in module.restore(source, folder, overwrite=overwrite):
        click.echo(line)
    facility = read_facility(folder / name, state_dir=state_dir, to_run=False)
    with _database(state_dir, tango_host or facility.tango_host, create=True) as host:
        for line in module.restore_database(source, facility, host):
            click.echo(line)


@click.command()
@_file
@option_group(state_dir_option(), port_offset_option(), tango_host_option())
@click.option("--starter", type=click.Path(path_type=Path), metavar="FOLDER", help="Where Tango's Starter has servers.")
def attend(file: Path, state_dir: Path, port_offset: int, tango_host: str | None, starter: Path | None) -> None:
    """Register a facility and note its processes, where systemd or Tango's Starter keep them running."""
    from servers.facility.attendant import attend as run
    from servers.facility.facility_file import read_facility

    sys.exit(run(read_facility(file, state_dir=state_dir, offset=port_offset), tango_host, starter))


@click.command("install-units")
@_file
@option_group(state_dir_option(), port_offset_option(), tango_host_option())
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/etc/systemd/system"),
    show_default=True,
    help="Where the units go.",
)
@click.option("--account", default="", metavar="USER", help="Who runs the services.")
@click.option(
    "--starter",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Tango's Starter runs the Tango servers, from this folder (its StartDsPath).",
)
@click.option("--starter-host", default="", metavar="HOST", help="Whose Starter it is [this machine].")
@click.option("--remove", is_flag=True, help="Take the units of this facility away instead.")
def install_units(file: Path, state_dir: Path, port_offset: int, **options: Any) -> None:
    """Let systemd, or Tango's Starter, keep a facility running instead of `diptych up`."""
    from servers.facility import installation
    from servers.facility.facility_file import read_facility

    facility = read_facility(file, state_dir=state_dir, offset=port_offset)
    for line in installation.install(facility, **options):
        click.echo(line)


@contextmanager
def _database(state_dir: Path, tango_host: str | None, *, create: bool) -> Iterator[str]:
    """HOST:PORT of a named database, of the facility that runs, or of the embedded one, started for a while."""
    from servers.facility import record
    from servers.facility.embedded import embedded_database

    if tango_host:
        yield tango_host
    elif running := record.running(state_dir):
        yield running.tango_host
    else:
        with embedded_database(state_dir, create=create) as host:
            yield host
