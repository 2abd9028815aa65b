"""What ``diptych daq client`` does: asks nodes, configures them, shows their images."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
from rich.console import Console

from devices.core.errors import BadValueError, NotConnectedError, RefusedError
from servers.daqdata.client import AioDaqDataClient
from servers.daqdata.client_base import code_of, details_of
from servers.daqdata.client_nodes import read_json

INIT_TIMEOUT_S: Final = 15.0
DURATIONS_S: Final = (5.0, 10.0, 30.0)


#: An interval that asks for every image.
AS_THEY_COME: Final = 0.0


class Wanted(NamedTuple):
    """What a plot streams."""

    movies: bool
    pulse_heights: bool
    interval_s: float


Plot = tuple[Wanted, Callable[[Any], None], Callable[[], None]]


@dataclass(frozen=True)
class Asked:
    """The options of the command; see its help."""

    host: str | None
    port: int
    pings: bool
    list_hosts: bool
    reflect_services: bool
    init_config: Path | None
    init_sim: bool
    plot_view: bool
    plot_phdist: bool
    plot_speed: bool
    refresh_period: float
    module_ids: tuple[int, ...]
    output: Path | None
    seconds: float | None
    tls_ca: Path | None
    token_file: Path | None
    log_level: str

    def check(self) -> None:
        """Raises BadValueError: options that are of no use together, or alone."""
        if self.pings and not self.host:
            raise BadValueError("--ping needs --host")
        if not (
            self.pings
            or self.list_hosts
            or self.reflect_services
            or self.init_config
            or self.init_sim
            or self.plot_view
            or self.plot_phdist
            or self.plot_speed
        ):
            raise BadValueError("nothing was asked for: --ping, --list-hosts, --init-sim, --plot-view ..., see --help")
        if self.output and self.plot_view and self.plot_phdist:
            raise BadValueError("--output takes one plot: --plot-view or --plot-phdist")


def run_client(daq_config: Path, net_config: Path | None, asked: Asked) -> None:
    """Do what was asked, in order; plots last, until Ctrl-C.

    Raises:
        DiptychError: wrong options or configurations; a node is gone or refuses.
    """
    asked.check()
    logging.basicConfig(format="%(levelname)s: %(message)s")
    level = logging.getLevelNamesMapping()[asked.log_level.upper()]
    asyncio.run(_run(daq_config, net_config, asked, level))


async def _run(daq_config: Path, net_config: Path | None, asked: Asked, level: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    credentials = grpc.ssl_channel_credentials(asked.tls_ca.read_bytes()) if asked.tls_ca else None
    token = asked.token_file.read_text().partition("\n")[0].strip() if asked.token_file else None
    client = AioDaqDataClient(daq_config, net_config, stop, level, credentials=credentials, token=token)
    client.GRPC_PORT = asked.port
    problem: Exception | None = None
    async with client:
        try:
            await _act(client, asked, stop)
        except (ConnectionError, grpc.RpcError) as error:  # which the client itself would end quietly
            problem = error
    if isinstance(problem, grpc.RpcError):
        code = code_of(problem)
        problem = RefusedError(f"{code.name if code else 'UNKNOWN'}: {details_of(problem)}")
    if problem is not None:
        raise problem


async def _act(client: AioDaqDataClient, asked: Asked, stop: asyncio.Event) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if asked.pings and asked.host:
        if not await client.ping(asked.host):
            raise NotConnectedError(f"PING host={asked.host!r}: failed; it does not answer, or is not in DAQ_CONFIG")
        console.print(f"PING host={asked.host!r}: [green]success[/green]")
    if asked.list_hosts:
        for target, valid in (await client.get_daq_host_status()).items():
            console.print(f"{target}  {'[green]answers[/green]' if valid else '[red]does not answer[/red]'}")
    if asked.reflect_services:
        console.print(await client.reflect_services(asked.host))
    if asked.init_config:
        config = read_json(asked.init_config, "hp_io_config")
        _check(await client.init_hp_io(asked.host, config, timeout=INIT_TIMEOUT_S))
        console.print(f"initialised by {asked.init_config}")
    if asked.init_sim:
        _check(await client.init_sim(asked.host, timeout=INIT_TIMEOUT_S))
        console.print("simulating")
    plots = _plots(asked, console)
    if not plots:
        return
    if asked.seconds is not None:
        asyncio.get_running_loop().call_later(asked.seconds, stop.set)
    # A plot each, so that one asks for no more than it shows.
    await asyncio.gather(*(_stream(client, asked, *plot) for plot in plots))


async def _stream(
    client: AioDaqDataClient, asked: Asked, wanted: Wanted, update: Callable[[Any], None], finish: Callable[[], None]
) -> None:
    stream = client.stream_images(
        asked.host, wanted.movies, wanted.pulse_heights, wanted.interval_s, asked.module_ids, wait_for_ready=False
    )
    async with aclosing(stream):
        async for image in stream:
            update(image)
    finish()


def _plots(asked: Asked, console: Console) -> list[Plot]:
    """What is to be streamed, what takes each image, and what is to be done at the end."""
    from servers.daqdata import plot
    from servers.daqdata.plot_window import check_display

    if (asked.plot_view or asked.plot_phdist) and asked.output is None:
        check_display()
    plots: list[Plot] = []
    if asked.plot_view:
        view = plot.PanoImagePreviewer(
            True, True, asked.module_ids, plot_update_interval=asked.refresh_period, output=asked.output
        )
        plots.append((Wanted(True, True, asked.refresh_period / 2), view.update, view.plot))
    if asked.plot_phdist:
        heights = plot.PulseHeightDistribution(DURATIONS_S, asked.module_ids, asked.refresh_period, output=asked.output)
        plots.append((Wanted(False, True, AS_THEY_COME), heights.update, heights.plot))
    if asked.plot_speed:
        meter = plot.SpeedMeter()

        def count(image: Any) -> None:
            if line := meter.update():
                console.print(line)

        plots.append((Wanted(True, True, AS_THEY_COME), count, lambda: console.print(meter.line())))
    return plots


def _check(succeeded: bool) -> None:
    if not succeeded:
        raise RefusedError("a node was not initialised; its reason is above")
