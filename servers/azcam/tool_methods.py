"""What clients may call of controller, instrument, telescope, tempcon and display."""

from __future__ import annotations

import time
from typing import Any, Final

from devices.core.errors import BadValueError, NotAllowedError, RangeError
from devices.pipelines.ccd.sky_text import DEGREES_FORM, EQUINOX_FORM, HOURS_FORM, degrees_of, hours_of, to_j2000
from servers.azcam.argument import Argument, flag, items, number, number_or_nothing, only_one, text, whole
from servers.azcam.header_methods import HEADER, TOOL
from servers.azcam.method import NOTHING, Table, do, done, put, read, run
from servers.azcam.tool import Tool

#: What clients of azcam know as "no value".
BAD_VALUE: Final = -999.9

FOCUS: Final = (
    Argument("focus_position", number, required=True, target="position"),
    Argument("focus_id", only_one),
    Argument("focus_type", text, "absolute", target="kind"),
)


def only(name: str) -> Argument:
    """The number of a thing that there is one of."""
    return Argument(name, only_one)


def one_of(attribute: str, name: str) -> Any:
    """One item of an array attribute, by its number from 0."""

    def item(tool: Tool, index: int = 0) -> Any:
        found = tool.value(attribute)
        if not 0 <= index < len(found):
            raise RangeError(f"{name} = {index} is outside [0, {len(found) - 1}]")
        return found[index]

    return do(item, Argument(name, whole, target="index"), reads_only=True)


async def set_focus(tool: Tool, position: float, kind: str = "absolute") -> None:
    """Move the focus to a position, or by a step."""
    if kind.casefold() == "step":
        await tool.run("step_focus", step=position)
    elif kind.casefold() == "absolute":
        await tool.put("focus", position)
    else:
        raise RangeError(f"focus_type = {kind!r} is none of absolute, step")


async def move(tool: Tool, ra: str, dec: str, epoch: str = "2000.0") -> None:
    """Point to a place, and wait until the telescope is there."""
    try:
        place = to_j2000(hours_of(ra), degrees_of(dec), epoch, time.time())
    except ValueError as error:
        allowed = f"ra: {HOURS_FORM}; dec: {DEGREES_FORM}; epoch: {EQUINOX_FORM}"
        raise BadValueError(f"ra = {ra!r}, dec = {dec!r}, epoch = {epoch!r}: {error}; {allowed}") from None
    await tool.done("point", right_ascension=place[0], declination=place[1])


async def power(tool: Tool, wavelength: float | None = None) -> float:
    """The power of the light, at this wavelength."""
    if wavelength is not None:
        await tool.put("wavelength", wavelength)
    return float(tool.value("power"))


async def current(tool: Tool, is_open: bool = True, index: int = 0) -> Any:
    """The current of a photodiode, with the shutter open or shut."""
    await tool.run("set_shutter", is_open=is_open)
    found = tool.value("currents")
    if not 0 <= index < len(found):
        raise RangeError(f"current_id = {index} is outside [0, {len(found) - 1}]")
    return found[index]


async def no_wavelengths(tool: Tool) -> None:
    """There is no list."""
    raise NotAllowedError("there is no list of wavelengths: set_wavelength takes any, in nm")


def temperatures(tool: Tool) -> list[float]:
    """All temperatures; -999.9 for one that has no value."""
    found = tool.value_or("temperatures", [])
    if not found:
        return [float(tool.value_or(f"{name}_temperature", BAD_VALUE)) for name in ("camera", "dewar")]
    return [BAD_VALUE if value is None else float(value) for value in found]


def temperature(tool: Tool, index: int = 0) -> float:
    """One temperature."""
    found = temperatures(tool)
    if not 0 <= index < len(found):
        raise RangeError(f"temperature_id = {index} is outside [0, {len(found) - 1}]")
    return found[index]


async def set_control_temperature(tool: Tool, celsius: float | None = None) -> None:
    """Set the set point of the detector; without a temperature it is sent again."""
    if celsius is None:
        await tool.done("reset")
    else:
        await tool.put("control_temperature", celsius)


WHEEL: Final = Argument("filter_id", whole, 0, target="wheel")

CONTROLLER: Final[Table] = {
    **TOOL,
    **HEADER,
    "set_shutter": run("set_shutter", Argument("state", flag, required=True, target="is_open"), only("shutter_id")),
    "set_shutter_state": run("set_shutter", Argument("flag", flag, False, target="is_open")),
    "flush": done("flush", Argument("cycles", whole, 1)),
    "parshift": done("parshift", Argument("number_rows", whole, required=True, target="rows")),
    "get_telemetry": run("telemetry", gives=True, reads_only=True),
    "set_parameter": run(
        "set_parameter", Argument("name", text, required=True), Argument("value", whole, required=True)
    ),
}

INSTRUMENT: Final[Table] = {
    **TOOL,
    **HEADER,
    "get_all_comps": read("all_comps"),
    "get_comps": read("active_comps", otherwise=[]),
    "set_comps": run("set_comps", Argument("comp_names", items(text), [], target="names", rest=True)),
    "comps_on": run("comps_on"),
    "comps_off": run("comps_off"),
    "comps_delay": NOTHING,
    "get_filters": run("get_filters", WHEEL, gives=True, reads_only=True),
    "get_filter": run("get_filter", WHEEL, gives=True, reads_only=True),
    "set_filter": run("set_filter", Argument("filter_name", text, required=True, target="filter"), WHEEL),
    "get_wavelengths": do(no_wavelengths, only("wavelength_id"), reads_only=True),
    "get_wavelength": do(lambda tool: tool.value("wavelength"), only("wavelength_id"), reads_only=True),
    "set_wavelength": put("wavelength", Argument("wavelength", number, required=True), only("wavelength_id")),
    "get_focus": do(lambda tool: tool.value("focus"), only("focus_id"), reads_only=True),
    "set_focus": do(set_focus, *FOCUS, silent=True),
    "get_pressures": read("pressures"),
    "get_pressure": one_of("pressures", "pressure_id"),
    "set_pressure": run(
        "set_pressure",
        Argument("pressure", number, required=True),
        Argument("pressure_id", whole, 0, target="gauge"),
    ),
    "get_power": do(power, Argument("wavelength", number_or_nothing), only("power_id")),
    "get_currents": read("currents"),
    "get_current": do(
        current, Argument("shutter_state", flag, True, target="is_open"), Argument("current_id", whole, target="index")
    ),
    "set_shutter": run("set_shutter", Argument("state", flag, required=True, target="is_open"), only("shutter_id")),
}

TELESCOPE: Final[Table] = {
    **TOOL,
    **HEADER,
    "get_focus": do(lambda tool: tool.value("focus"), only("focus_id"), reads_only=True),
    "set_focus": do(set_focus, *FOCUS, silent=True),
    "move": do(
        move,
        Argument("ra", text, required=True),
        Argument("dec", text, required=True),
        Argument("epoch", text, "2000.0"),
        silent=True,
    ),
    "offset": done("offset", Argument("ra", number, 0.0, target="east"), Argument("dec", number, 0.0, target="north")),
    "stop": run("halt"),
}

TEMPCON: Final[Table] = {
    **TOOL,
    **HEADER,
    "get_temperatures": do(temperatures, reads_only=True),
    "get_temperature": do(temperature, Argument("temperature_id", whole, target="index"), reads_only=True),
    "get_control_temperature": do(
        lambda tool: tool.value_or("control_temperature", BAD_VALUE), only("temperature_id"), reads_only=True
    ),
    "set_control_temperature": do(
        set_control_temperature,
        Argument("temperature", number_or_nothing, target="celsius"),
        only("temperature_id"),
        silent=True,
    ),
    "set_calibrations": run(
        "set_calibrations", Argument("cals", items(whole), required=True, target="curves", rest=True)
    ),
    "set_corrections": run(
        "set_corrections",
        Argument("temperature_offsets", items(number), required=True, target="offsets"),
        Argument("temperature_scales", items(number), required=True, target="scales"),
    ),
}
