"""The spectrograph as somebody writes it down for ophyd-async."""

from typing import Annotated as A

from ophyd_async.core import SignalR, SignalRW, SignalW, StandardReadable
from ophyd_async.core import StandardReadableFormat as Format
from ophyd_async.epics.core import EpicsDevice, PvSuffix


class Spectrograph(StandardReadable, EpicsDevice):
    """A set point and its read-back are one signal; a put to ``expose`` ends with the exposure."""

    temperature: A[SignalRW[float], PvSuffix.rbv("Temperature"), Format.HINTED_SIGNAL]
    counts: A[SignalRW[int], PvSuffix.rbv("Counts"), Format.HINTED_SIGNAL]
    state: A[SignalR[str], PvSuffix("State"), Format.CONFIG_SIGNAL]
    expose: A[SignalW[float], PvSuffix("Expose")]
