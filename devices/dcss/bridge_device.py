"""The bridge as a device: DCSS drives whatever the mapping file names."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devices.core import Deadband, Device, DeviceState, Properties, attribute, command, poll, setting
from devices.core.errors import BadValueError, ConfigurationError
from devices.dcss.bridge import Bridge
from devices.dcss.bridge_log import BridgeLog
from devices.dcss.dhs_link import DhsLink, LinkSettings
from devices.dcss.mapping import fill, read_mapping
from devices.drivers.dcs_record import WireRecord

MOST_NAMES: Final = 1000


def host_and_port(text: str) -> tuple[str, int]:
    """``HOST:PORT``, with or without ``tcp://`` before it.

    Raises:
        BadValueError: it is not.
    """
    host, _, port = text.removeprefix("tcp://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadValueError(f"dcss = {text!r} is not HOST:PORT")
    return host, int(port)


@dataclass(frozen=True)
class BridgeProperties(Properties):
    """Where DCSS is, who we are to it, and what we serve it."""

    dcss: str = setting("127.0.0.1:14242", doc="HOST:PORT of DCSS for hardware", check=host_and_port)
    dhs_name: str = setting(doc="Our name in the database of DCSS")
    mapping: Path = setting(doc="The mapping file, YAML")
    protocol: int = setting(0, doc="1 or 2; 0: as DCSS speaks", limits=(0, 2))
    record: Path | None = setting(None, doc="A file that records the wire, JSON lines")
    simulated: bool = setting(False, doc="Tell DCSS that what stands behind the names is simulated")


class DcssBridge(Device):
    """Serves DCSS as a hardware server: any attribute, command or PV is a motor, shutter, string or operation of it."""

    properties_class = BridgeProperties
    properties: BridgeProperties

    link = attribute(str, doc="The connection to DCSS: connecting, logging in, online", text_limit=39)
    logins = attribute(int, doc="Logins since the start")
    losses = attribute(int, doc="Logins that ended since the start")
    last_loss = attribute(str, doc="Why the last one ended")
    received = attribute(int, doc="Messages from DCSS", change=Deadband(period=1.0))
    sent = attribute(int, doc="Messages to DCSS", change=Deadband(period=1.0))
    dropped_stale = attribute(int, doc="Answers that came after their login was over, and were not sent")
    latency = attribute(float, unit="ms", precision=3, doc="From a message's arrival until it was handed on")
    operations_running = attribute(int, doc="Operations of DCSS that are not completed")
    operations_completed = attribute(int, doc="Operations that were completed since the start")
    operations_failed = attribute(int, doc="Those of them that were not completed as normal")
    mapped = attribute(int, doc="Names that the mapping file has")
    unmapped = attribute(str, shape=(MOST_NAMES,), doc="What DCSS has registered and is not mapped: kind and name")
    unregistered = attribute(str, shape=(MOST_NAMES,), doc="What is mapped and DCSS has not registered: kind and name")
    table = attribute(str, doc="All names with kind, registration and value: a JSON list", text_limit=1 << 20)
    offsets = attribute(
        str,
        initial="{}",
        memorized="show",
        level="expert",
        doc="What DCSS has added to positions by setting them: JSON, name to units of the device",
    )

    def build(self) -> None:
        self.bridge: Bridge | None = None
        self._link: DhsLink | None = None
        self._log: BridgeLog | None = None
        self._remembering: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        properties = self.properties
        mapping = await asyncio.to_thread(read_mapping, properties.mapping)
        self.bridge = bridge = Bridge(self.neighbours, self.log)
        bridge.around.offsets = self._remembered_offsets()
        bridge.around.offsets_changed = self._remember_offsets
        fill(bridge, mapping, str(properties.mapping))
        bridge.is_simulated = properties.simulated
        bridge.begin()
        self.mapped.publish(len(bridge.members) + len(bridge.operations.names))
        host, port = host_and_port(properties.dcss)
        record = WireRecord(properties.record) if properties.record is not None else None
        settings = LinkSettings(protocol=properties.protocol)
        self._link = DhsLink(host, port, properties.dhs_name, bridge, settings, record=record)
        self._log = BridgeLog(self._tell_log, f"diptych.dcss.{properties.dhs_name}")
        logging.getLogger("diptych").addHandler(self._log)
        await self._link.start()
        self.set_state(DeviceState.ON)

    async def disconnect(self) -> None:
        if self._log is not None:
            logging.getLogger("diptych").removeHandler(self._log)
            self._log = None
        bridge, self.bridge = self.bridge, None
        link, self._link = self._link, None
        if bridge is not None:
            await bridge.close()
        if link is not None:
            await link.stop()

    @poll(0.5)
    async def poll_link(self) -> None:
        """What the link and the members are doing."""
        link, bridge = self._link, self.bridge
        if link is None or bridge is None:
            return
        self.link.publish_change(link.state)
        self.logins.publish_change(link.logins)
        self.losses.publish_change(link.losses)
        self.last_loss.publish_change(link.last_loss)
        self.received.publish_change(link.received)
        self.sent.publish_change(link.sent)
        self.dropped_stale.publish_change(link.dropped_stale)
        self.latency.publish_change(1000.0 * link.latency)
        self.operations_running.publish_change(len(bridge.operations.running))
        self.operations_completed.publish_change(bridge.operations.completed)
        self.operations_failed.publish_change(bridge.operations.failed)
        self.unmapped.publish_change(tuple(sorted(bridge.unmapped)[:MOST_NAMES]))
        self.unregistered.publish_change(tuple(sorted(bridge.unregistered)[:MOST_NAMES]) if link.is_online else ())
        self.table.publish_change(json.dumps(bridge.rows()))
        trouble = f"DCSS at {self.properties.dcss}: {link.last_loss or link.state}"
        self.set_fault("dcss", "" if link.is_online else trouble)

    @command()
    async def log_to_dcss(self, text: str) -> None:
        """Write a line into the log of DCSS."""
        self._tell_log("note", "diptych", text)

    def _remembered_offsets(self) -> dict[str, float]:
        try:
            return {str(name): float(offset) for name, offset in json.loads(self.offsets.value).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise ConfigurationError("offsets", [f"{self.offsets.value!r:.80}: {error}"]) from error

    def _remember_offsets(self) -> None:
        if self.bridge is not None:
            text = json.dumps(self.bridge.around.offsets)
            self._remembering = asyncio.create_task(self.offsets.put(text), name="offsets")

    def _tell_log(self, level: str, sender: str, text: str) -> None:
        if self._link is not None and self._link.is_online:
            self._link.send("htos_log", (level, sender), rest=text)
