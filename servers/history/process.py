"""The recorder as a process of a facility: ``diptych historian``."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Final

import tango

from devices.core.errors import NotConnectedError
from servers.facility import leash
from servers.facility.address import from_here
from servers.facility.facility_file import Facility
from servers.facility.pulse import Pulse
from servers.facility.pv_list import ServedPv, served_pvs
from servers.garbage import collect_apart
from servers.history.archive_list import ArchiveList, read_archive_list
from servers.history.place import backlog_of, folder_of, open_store, settings_of, state_file
from servers.history.recorder import Recorder
from servers.history.writer import Writer
from servers.log.formatter import log_to_stderr

log = logging.getLogger(__name__)

TAKE_S: Final = 0.2
LIST_S: Final = 10.0
FIRST_LIST_S: Final = 0.5


def run(facility: Facility, tango_host: str) -> None:
    """Record what the mirrors of a facility serve until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the facility has no history, or its archive list is wrong.
    """
    settings = settings_of(facility)
    archive = read_archive_list(settings.archive) if settings.archive else ArchiveList()
    leash.attach()
    collect_apart()
    log_to_stderr()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    folder_of(facility).mkdir(parents=True, exist_ok=True)
    file = state_file(facility)
    writer = Writer(lambda: open_store(facility), backlog_of(facility), lambda state: state.write(file))
    recorder = Recorder(from_here(facility.ports.address("ca")), facility.ports["ca"], archive)
    lists = Lists(tango_host, stop)
    pulse = Pulse(facility.state_dir, "historian")
    writer.start()
    lists.start()
    try:
        while not stop.wait(TAKE_S):
            pulse.beat()
            if (served := lists.newest()) is not None:
                writer.put(recorder.follow(served))
            writer.put(recorder.take())
            writer.describe(*recorder.described())
    finally:
        stop.set()
        writer.stop(recorder.close())
        lists.join()


class Lists(threading.Thread):
    """Asks the mirrors again and again what they serve; they take their time, and the recorder has none."""

    def __init__(self, tango_host: str, stop: threading.Event) -> None:
        super().__init__(name="history-lists", daemon=True)
        self._tango_host, self._stop_asking = tango_host, stop
        self._newest: list[ServedPv] | None = None

    def newest(self) -> list[ServedPv] | None:
        """The newest list, once; None when there is no new one."""
        newest, self._newest = self._newest, None
        return newest

    def run(self) -> None:
        known: list[ServedPv] | None = None
        while True:
            try:
                served = served_pvs(self._tango_host)
                if served != known:
                    log.info("%d PVs are served", len(served))
                    self._newest = known = served
            except (NotConnectedError, tango.DevFailed) as error:
                log.debug("no list of PVs: %s", error)
            if self._stop_asking.wait(LIST_S if known else FIRST_LIST_S):
                return
