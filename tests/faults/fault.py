"""The faults of a campaign: each begins, lasts, and ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.faults.clock import Clock
from tests.faults.plant import SUPERVISOR

if TYPE_CHECKING:
    from tests.faults.scene import Scene

RETURN_SECONDS: Final = 300.0
#: Without these processes nobody can record a gauge.
RECORDS_NEED: Final = ("gauge", "mirror", "historian", "sim.meter", SUPERVISOR)


@dataclass
class Fault:
    """One fault.

    Attributes:
        kind: the row of the report.
        name: which one of its kind.
        begin, end: what makes it and ends it.
        seconds: how long it lasts.
        stops_records: whether what happens meanwhile cannot be recorded.
        cuts_clients: whether clients on the other host cannot be told anything, by anybody.
        settle: waits until all processes are there again, after its end.
    """

    kind: str
    name: str
    begin: Callable[[], None]
    end: Callable[[], None] = lambda: None
    seconds: float = 0.0
    stops_records: bool = False
    cuts_clients: bool = False
    settle: Callable[[], None] = lambda: None


def kill(scene: Scene, name: str) -> Fault:
    """SIGKILL to one process."""
    killed: list[int] = []

    def begin() -> None:
        killed[:] = [scene.plant.pid(name)]
        os.kill(killed[0], signal.SIGKILL)
        scene.forget(name)

    def settle() -> None:
        scene.plant.wait_for_another(name, killed[0], RETURN_SECONDS)

    return Fault("process killed", name, begin, stops_records=name in RECORDS_NEED, settle=settle)


def switch_off_meter(scene: Scene) -> Fault:
    """The instrument loses its power for a moment; its settings are kept."""
    return Fault("instrument switched off", "meter", scene.stop_meter, scene.start_meter, 2.0, stops_records=True)


def kill_supervisor(scene: Scene) -> Fault:
    """Everything ends, and somebody starts the facility again."""

    def begin() -> None:
        scene.plant.wait_until_gone(scene.plant.kill_supervisor())
        scene.forget("sim.cryocon1")

    return Fault("supervisor killed", SUPERVISOR, begin, stops_records=True, settle=scene.start_plant)


def hang(scene: Scene, name: str, seconds: float) -> Fault:
    """A process stands still, and nobody is told."""
    halted: list[int] = []

    def begin() -> None:
        halted[:] = [scene.meter_pid if name == "meter" else scene.plant.pid(name)]
        os.kill(halted[0], signal.SIGSTOP)

    def end() -> None:
        with suppress(ProcessLookupError):
            os.kill(halted[0], signal.SIGCONT)

    kind = "simulator hangs" if name == "meter" or name.startswith("sim.") else "server hangs"
    return Fault(kind, name, begin, end, seconds, stops_records=name in ("meter", *RECORDS_NEED))


def half_open(scene: Scene, seconds: float) -> Fault:
    """The instrument is gone without a word; what was connected stays dead."""
    return Fault("half-open connection", "meter", scene.proxy.cut, scene.proxy.mend, seconds, stops_records=True)


def pulled_cable(scene: Scene, seconds: float) -> Fault:
    """The cable to the far instrument is pulled."""
    assert scene.cable is not None
    cable = scene.cable
    return Fault(
        "cable pulled", "far meter and clients", lambda: cable.lose(1.0), lambda: cable.lose(0.0), seconds,
        stops_records=True, cuts_clients=True,
    )  # fmt: skip


def lossy_cable(scene: Scene, seconds: float) -> Fault:
    """A tenth of all frames to and from the far instrument is lost."""
    assert scene.cable is not None
    cable = scene.cable
    return Fault(
        "10 % packet loss", "far meter and clients", lambda: cable.lose(0.1), lambda: cable.lose(0.0), seconds,
        stops_records=True,
    )  # fmt: skip


def full_disk(scene: Scene, seconds: float) -> Fault:
    """No byte is left where state, logs, history and images are."""
    ballast = scene.plant.state_dir / "ballast"

    def begin() -> None:
        fill(ballast)

    return Fault("disk full", "state directory", begin, lambda: ballast.unlink(missing_ok=True), seconds)


def fill(ballast: Path) -> None:
    """Write until nothing more fits, to the last byte."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def database_away(scene: Scene, seconds: float) -> Fault:
    """The Tango database is stopped, and started again."""
    plant = scene.plant
    return Fault(
        "Tango database away", "database", lambda: plant.hold_back("database"), lambda: plant.release("database"),
        seconds, settle=lambda: plant.pid("database") and None,
    )  # fmt: skip


def tenfold_load(scene: Scene, seconds: float) -> Fault:
    """Ten times the readings, and twenty clients more that subscribe to everything."""
    crowds: list[subprocess.Popen[str]] = []

    def begin() -> None:
        scene.set_load(10)
        crowds[:] = scene.crowds()

    def end() -> None:
        for crowd in crowds:
            crowd.kill()
            crowd.wait()
        scene.set_load(1)

    return Fault("load tenfold", "clients and rates", begin, end, seconds)


def clock_jump(clock: Clock, name: str, seconds: int, hold_s: float) -> Fault:
    """The date of all processes of the facility jumps, and back again."""
    return Fault("clock jumps", name, lambda: clock.move(seconds), lambda: clock.move(0), hold_s)


def round_of(scene: Scene, hold_s: float) -> Iterator[Fault]:
    """Every fault once; each process is killed.

    Args:
        hold_s: how long a fault lasts that has a length; the database is away five times as long.
    """
    names = [name for name in scene.plant.processes() if name != SUPERVISOR]
    simulators = [name for name in names if name.startswith("sim.")]
    for name in names:
        yield kill(scene, name)
    yield switch_off_meter(scene)
    for name in ("meter", *simulators, "gauge"):
        yield hang(scene, name, hold_s)
    yield half_open(scene, hold_s)
    if scene.cable is not None:
        yield pulled_cable(scene, hold_s)
        yield lossy_cable(scene, 2 * hold_s)
    if scene.has_small_disk:
        yield full_disk(scene, hold_s)
    yield database_away(scene, 5 * hold_s)
    yield tenfold_load(scene, 2 * hold_s)
    if scene.clock is not None:
        yield clock_jump(scene.clock, "+1 h and back", 3600, hold_s)
        yield clock_jump(scene.clock, "-1 h and back", -3600, hold_s)
    yield kill_supervisor(scene)
