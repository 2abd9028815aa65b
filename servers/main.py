"""The ``diptych`` command. Everything heavy is imported by the command that needs it, so that --help is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from servers.automl.command import automl
from servers.command_group import OneLineErrors
from servers.daqdata.command import daq
from servers.dhs.command import dhs
from servers.facility import DEFAULT_STATE_DIR, site_commands
from servers.help_pages import explain
from servers.ingest.command import correlator
from servers.leash.command import saxs
from servers.options import (
    client_options,
    facility_option,
    option_group,
    port_offset_option,
    server_options,
    state_dir_option,
    tango_host_option,
)
from servers.sequencers.options import sequencer_options


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="diptych")
def main() -> None:
    """Instruments written once, served through Tango and mirrored as EPICS PVs."""


main.add_command(saxs)
main.add_command(daq)
main.add_command(correlator)
main.add_command(automl)
main.add_command(dhs)
main.add_command(site_commands.migrate)
main.add_command(site_commands.backup)
main.add_command(site_commands.restore)
main.add_command(site_commands.attend)
main.add_command(site_commands.install_units)


@main.command()
@click.argument("facility", type=click.Path(path_type=Path), required=False)
@option_group(state_dir_option(), port_offset_option(), tango_host_option())
def up(facility: Path | None, state_dir: Path, port_offset: int, tango_host: str | None) -> None:
    """Run a whole facility until Ctrl-C; FACILITY is a dsconfig JSON file [dbconfig/demo.json]."""
    from servers.facility.facility_file import read_facility
    from servers.facility.place import default_facility
    from servers.facility.supervisor import run_facility

    path = facility or default_facility()
    sys.exit(run_facility(read_facility(path, state_dir=state_dir, offset=port_offset), tango_host))


@main.command()
@option_group(state_dir_option(), port_offset_option())
def env(state_dir: Path, port_offset: int) -> None:
    """Print what a shell needs to reach the facility: eval "$(diptych env)"."""
    from servers.facility import record
    from servers.facility.environment import export_lines
    from servers.facility.ports import Ports

    if running := record.running(state_dir):
        ports, tango_host = running.port_table, running.tango_host
    else:
        ports = Ports(offset=port_offset)
        tango_host = ports.endpoint("tango")
    click.echo("\n".join(export_lines(ports, tango_host, state_dir)))


@main.command()
@click.argument("instance")
@click.option(
    "--file",
    "file_path",
    type=click.Path(path_type=Path),
    help="Serve this facility file's instrument alone, without a database.",
)
@click.option("--background", is_flag=True, help="Return when it answers; `diptych stop INSTANCE` ends it.")
@server_options
def serve(instance: str, file_path: Path | None, background: bool, **place: Any) -> None:
    """Serve one instrument (a server instance of the facility) until Ctrl-C."""
    from servers.facility.instance import Instance, resume

    if background and not file_path and (line := resume(instance, place["state_dir"])):
        click.echo(line)
        return
    found = Instance.find(instance, file_path, **place)
    if background:
        click.echo(found.start_in_background())
    else:
        sys.exit(found.serve())


@main.command()
@click.argument("instance")
@server_options
def mirror(instance: str, **place: Any) -> None:
    """Serve one EPICS mirror of the facility until Ctrl-C."""
    from servers.facility.instance import Instance

    sys.exit(Instance.find(instance, None, **place).serve())


@main.command()
@option_group(facility_option, state_dir_option(), port_offset_option())
def web(facility_path: Path | None, state_dir: Path, port_offset: int) -> None:
    """Serve the facility's operator panels to browsers until Ctrl-C."""
    from servers.facility.place import facility_of
    from servers.web import process

    process.run(facility_of(facility_path, state_dir, port_offset))


@main.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def password(name: str, file: Path) -> None:
    """Ask for the password of a person and keep its hash in FILE, the users of the panels."""
    from servers.web.login.secret_file import set_line
    from servers.web.login.users import hash_line

    set_line(file, name, hash_line(name, click.prompt("Password", hide_input=True, confirmation_prompt=True)))


@main.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def token(name: str, file: Path) -> None:
    """Make a token for a display or a script, print it, and keep it in FILE, the tokens of the panels."""
    from servers.web.login.secret_file import set_line
    from servers.web.login.tokens import token_line

    line = token_line(name)
    set_line(file, name, line)
    click.echo(line.partition(":")[2])


@main.command()
@server_options
def historian(facility_path: Path | None, state_dir: Path, port_offset: int, tango_host: str | None) -> None:
    """Record what the facility's mirrors serve until Ctrl-C."""
    from servers.facility.environment import adopt
    from servers.facility.place import database_of, facility_of

    facility = facility_of(facility_path, state_dir, port_offset)
    database = database_of(state_dir, tango_host or facility.tango_host)
    adopt(facility.ports, database)
    from servers.history import process

    process.run(facility, database)


@main.command()
@click.argument("instance")
@state_dir_option(envvar="DIPTYCH_STATE_DIR")
def stop(instance: str, state_dir: Path) -> None:
    """Stop one server, whether `diptych up` or `diptych serve --background` started it."""
    from servers.facility.instance import stop as stop_instance

    click.echo(stop_instance(instance, state_dir))


@main.command()
@click.argument("kind")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="TCP port on loopback; 0: none, or any.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="For the simulator; repeatable.")
def sim(kind: str, port: int, options: tuple[str, ...]) -> None:
    """Run a simulator until Ctrl-C; KIND is a module of devices.simulators."""
    from servers.facility import simulator

    simulator.run(kind, port, simulator.parse_options(options))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--restart", is_flag=True, help="Restart the servers that read what changed only when they start.")
@click.option("--remove", is_flag=True, help="Take the servers of the file out of the database instead.")
@click.option("--copy-from", metavar="HOST:PORT", help="Add what clients have set in that database: bounds, memorized.")
@option_group(state_dir_option(envvar="DIPTYCH_STATE_DIR"), port_offset_option(), tango_host_option())
def register(file: Path, **options: Any) -> None:
    """Bring a Tango database up to a facility file; shows the difference first."""
    from servers import registry

    if options["remove"] and options["copy_from"]:
        raise click.UsageError("--remove and --copy-from exclude each other")
    for line in registry.register(file, **options):
        click.echo(line)


@main.command("ls")
@click.argument("pattern", default="*")
@click.option("--pvs", is_flag=True, help="The PVs that are served instead.")
@click.option("--archive", is_flag=True, help="Only the PVs that an archiver should record.")
@click.option("--json", "as_json", is_flag=True, help="With --archive: as the EPICS Archiver Appliance takes it.")
@client_options
def list_devices(pattern: str, pvs: bool, archive: bool, as_json: bool, **place: Any) -> None:
    """List the devices that run, with state and server."""
    from servers.facility import pv_list

    if as_json and not archive:
        raise click.UsageError("--json goes with --archive")
    if archive:
        lines = pv_list.archive_list(pattern, as_json=as_json, **place)
    else:
        lines = (pv_list.list_pvs if pvs else client().list_devices)(pattern, **place)
    for line in lines:
        click.echo(line)


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="DEVICE/ATTRIBUTE...")
@client_options
def get(paths: tuple[str, ...], **place: Any) -> None:
    """Read attributes: diptych get cryo/cryocon/1/setpoint_1."""
    for path in paths:
        value = client().get(path, **place)
        click.echo(value if len(paths) == 1 else f"{path}  {value}")


@main.command()
@click.argument("path", metavar="DEVICE/ATTRIBUTE")
@click.argument("words", nargs=-1, required=True, metavar="VALUE...", type=click.UNPROCESSED)
@client_options
def put(path: str, words: tuple[str, ...], **place: Any) -> None:
    """Write an attribute: a number, a text, an enumeration label; several words or a JSON list for an array."""
    client().put(path, words, **place)


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="DEVICE/ATTRIBUTE...")
@click.option("--count", type=int, help="End after so many lines.")
@client_options
def monitor(paths: tuple[str, ...], count: int | None, **place: Any) -> None:
    """Print each change of attributes until Ctrl-C."""
    for line in client().monitor(paths, count, **place):
        click.echo(line)


@main.command()
@click.argument("path", metavar="DEVICE/COMMAND")
@click.argument("words", nargs=-1, metavar="ARGUMENT...", type=click.UNPROCESSED)
@click.option("--wait", is_flag=True, help="Of an operation: show its progress and wait for its end.")
@client_options
def call(path: str, words: tuple[str, ...], wait: bool, **place: Any) -> None:
    """Run a command: diptych call cryo/cryocon/1/auto_tune loop=1 (a single argument needs no name)."""
    for line in client().call(path, words, wait, **place):
        click.echo(line)


@main.command()
@click.argument("devices", nargs=-1, required=True, metavar="DEVICE...")
@click.option("--json", "as_json", is_flag=True, help="The description as programs read it.")
@sequencer_options
@client_options
def describe(
    devices: tuple[str, ...], as_json: bool, state_dir: Path, tango_host: str | None, **sequencer: Any
) -> None:
    """What devices have: attributes with unit and limits, commands with arguments; or a file for a sequencer."""
    if sequencer["form"]:
        from servers.sequencers import options

        click.echo(options.text(devices, sequencer, state_dir=state_dir, tango_host=tango_host), nl=False)
        return
    for device in devices:
        for line in client().describe(device, as_json, state_dir=state_dir, tango_host=tango_host):
            click.echo(line)


@main.command()
@click.argument("pvs", nargs=-1, metavar="[PV]...")
@click.option("--from", "begin", default="1 h ago", show_default=True, metavar="WHEN", help="2 h ago, ISO 8601, Unix.")
@click.option("--to", "end", default="now", show_default=True, metavar="WHEN")
@click.option("--points", type=click.IntRange(1), help="At most so many, each with its extremes; every sample without.")
@click.option("--csv", "kind", flag_value="csv", default="csv", help="The usual form.")
@click.option("--parquet", "kind", flag_value="parquet", help="Needs --output.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of the terminal.")
@option_group(facility_option, state_dir_option(envvar="DIPTYCH_STATE_DIR"))
def history(pvs: tuple[str, ...], facility_path: Path | None, state_dir: Path, **wanted: Any) -> None:
    """What PVs were: diptych history CRYO1:TemperatureA --from "2 h ago"; without a PV, what is recorded."""
    from servers.facility.place import facility_of
    from servers.history import command

    facility = facility_of(facility_path, state_dir, 0, to_run=False)
    for line in command.answer(facility, pvs, **wanted):
        click.echo(line)


@main.command("log")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--level", default="", metavar="LEVEL", help="At least DEBUG, INFO, WARNING, ERROR or CRITICAL.")
@click.option("--server", default="", metavar="NAME", help="One process: cryocon, mirror, facility; sim.* for several.")
@click.option("--grep", "text", default="", metavar="TEXT", help="Entries with this text in them.")
@click.option("--writes", is_flag=True, help="Only writes by EPICS clients and panels.")
@click.option("--who", default="", metavar="TEXT", help="Writes by this user, host or address.")
@click.option("--pv", default="", metavar="PV", help="Writes to this PV; CRYO1:* for several.")
@click.option("--since", default="", metavar="WHEN", help="1h, 30 min, or a moment: 2026-11-21 14:30.")
@click.option("--until", default="", metavar="WHEN")
@click.option("-n", "--count", default=100, show_default=True, metavar="N", help="At most so many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@state_dir_option(envvar="DIPTYCH_STATE_DIR")
def show_log(follow: bool, as_json: bool, state_dir: Path, **asked: Any) -> None:
    """What all processes of the facility said, and every write; newest last."""
    from servers.log import command

    texts = {key: str(int(value)) if isinstance(value, bool | int) else value for key, value in asked.items()}
    for line in command.lines(state_dir, texts, follow=follow, as_json=as_json):
        click.echo(line)


@main.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False), metavar="[FACILITY]...")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("opi"), show_default=True)
@click.option("--check", "only_check", is_flag=True, help="Change nothing; say what is wrong with any panel.")
@click.option("--format", "tidy", is_flag=True, help="Write all panels in Phoebus' own form.")
def panels(files: tuple[Path, ...], folder: Path, only_check: bool, tidy: bool) -> None:
    """Write the faceplates of a facility's devices to opi/gen, or check all panels."""
    from servers.facility.facility_file import read_facility
    from servers.facility.place import default_facility
    from servers.panels import generated

    facilities = [
        read_facility(path, state_dir=DEFAULT_STATE_DIR, to_run=False) for path in files or (default_facility(),)
    ]
    plates = generated.plates_of(facilities)
    lines = list(generated.check(plates, folder) if only_check else generated.write(plates, folder))
    if tidy and not only_check:
        lines += generated.tidy(folder)
    for line in lines:
        click.echo(line, err=only_check)
    sys.exit(1 if only_check and lines else 0)


@main.command()
@click.argument("script", default="")
@click.option("--dry-run", is_flag=True, help="Show times, altitudes and what would be refused; move nothing.")
@click.option("--from", "first_row", type=click.IntRange(1), default=1, metavar="N", help="Begin with row N.")
@click.option("--begin", default="", metavar="UTC", help="With --dry-run: 2026-11-22T02:30 instead of now.")
@click.option("--on-failure", default="", metavar="POLICY", help="stop, skip, pause, retry N, retry N skip|pause.")
@click.option("--carry-on", is_flag=True, help="Go on with the script that did not come to its end.")
@click.option("--background", is_flag=True, help="Return when it runs.")
@click.option("--yes", is_flag=True, help="Run it although rows are beyond the telescope's limits.")
@click.option("--observer", default="ccd/1/observer", show_default=True, metavar="DEVICE")
@client_options
def observe(script: str, **options: Any) -> None:
    """Carry out the observing script SCRIPT; without one, follow the script that runs. Ctrl-C pauses it."""
    from servers.observing import command

    command.observe(script, **options)


@main.command()
@click.option("--mock", is_flag=True, help="Start a simulated camera when no facility runs; it ends with the shell.")
@click.option("--startup", type=click.Path(path_type=Path, dir_okay=False), help="Run this script first.")
@click.option("--command", "-c", "code", metavar="CODE", help="Run this instead of a prompt.")
@client_options
def shell(mock: bool, startup: Path | None, code: str | None, **place: Any) -> None:
    """Python with the facility's devices: exposure.expose(2.0, 'flat', 'a title')."""
    from servers.shell import command

    command.run(**place, mock=mock, startup=startup, code=code)


@main.command()
@option_group(state_dir_option(envvar="DIPTYCH_STATE_DIR"), port_offset_option(), tango_host_option())
@click.option("--listeners", is_flag=True, help="Instead: every socket that listens, who reaches it, what guards it.")
def doctor(listeners: bool, **place: Any) -> None:
    """Say what is wrong here and what to do about it."""
    from servers.facility import doctor as examination
    from servers.facility import listeners as sockets

    if listeners:
        findings = sockets.report(place["state_dir"], place["port_offset"], click.echo)
    else:
        findings = examination.examine(**place)
    for finding in findings:
        click.echo(finding)
    click.echo("nothing is wrong" if not findings else f"{len(findings)} findings", err=bool(findings))
    sys.exit(1 if findings else 0)


def client() -> Any:
    """The commands for a person's quick look."""
    from servers.facility import client as module

    return module


explain(main)

if __name__ == "__main__":
    main()
