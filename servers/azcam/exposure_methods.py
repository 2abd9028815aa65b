"""What clients may call of the exposure: azcam's names, and what they are on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from devices.ccd.exposure_state import FLAGS, ExposureState
from devices.core.errors import BadValueError, RangeError
from devices.drivers.send_image_header import FILE_TYPES
from servers.azcam.argument import (
    Argument,
    flag,
    items,
    mapping,
    number,
    number_or_nothing,
    only_one,
    text,
    text_or_nothing,
    whole,
)  # fmt: skip
from servers.azcam.header_methods import HEADER, TOOL
from servers.azcam.method import NOTHING, Table, do, done, put, read, run
from servers.azcam.status import exposure_flag, status
from servers.azcam.tool import Tool

if TYPE_CHECKING:
    from servers.azcam.camera import Camera

#: Where the device's focal plane keeps the flips: behind the numbers of detectors and amplifiers.
FLIPS: Final = 4

SECONDS: Final = Argument("exposure_time", number, target="seconds", others=("et",))
TYPE: Final = Argument("image_type", text_or_nothing, others=("imagetype", "type"))
TITLE: Final = Argument("image_title", text_or_nothing, target="title", rest=True)
COUNT: Final = Argument("number_exposures", whole, target="count", others=("n",))
FLUSH: Final = Argument("flush_array_flag", whole, target="flush")
DELAY: Final = Argument("delay", number)
SHUTTER: Final = (
    Argument("state", flag, False, target="is_open"),
    Argument("shutter_id", whole, target="shutter"),
)
ROI: Final = (
    *(Argument(name, whole) for name in ("first_col", "last_col", "first_row", "last_row", "col_bin", "row_bin")),
    Argument("roi_num", only_one),
)
ROI_NUMBER: Final = Argument("roi_num", only_one)
FORMAT: Final = tuple(
    Argument(name, whole, required=place < 5)
    for place, name in enumerate(
        ("ns_total", "ns_predark", "ns_underscan", "ns_overscan", "np_total", "np_predark", "np_underscan",
         "np_overscan", "np_frametransfer")
    )
)  # fmt: skip
FOCAL_PLANE: Final = (
    *(Argument(name, whole, required=True) for name in ("numdet_x", "numdet_y", "numamps_x", "numamps_y")),
    Argument("amp_cfg", items(whole), rest=True),
)


def several(name: str, kind: Any, target: str, *others: str) -> Argument:
    """An argument that is a list, which must be given."""
    return Argument(name, items(kind), required=True, target=target, others=others, rest=True)


# Each of these is one row of the tables below ------------------------------------------------------------------------


def focal_plane(numbers: list[int]) -> list[Any]:
    """As azcam has it: the flips are a list by themselves."""
    return [*numbers[:FLIPS], numbers[FLIPS:]]


async def image_ready(camera: Camera) -> int:
    """Whether an image has come since somebody asked last."""
    return camera.image_ready()


async def set_auto_title(tool: Tool, flag: int = -1) -> None:
    """Switch automatic titles; -1: as it is."""
    if flag >= 0:
        await tool.put("auto_title", bool(flag))


async def set_ref_pixel(tool: Tool, position: list[float]) -> None:
    """Say where the telescope points."""
    if len(position) != 2:
        raise BadValueError(f"XY has {len(position)} numbers, 2 are expected")
    await tool.run("set_ref_pixel", x=position[0], y=position[1])


async def update_headers(camera: Camera) -> None:
    """Ask all tools anew for their keywords."""
    for name in camera.tools:
        if camera.has(name):
            await camera.tool(name).run("update_header")


async def set_remote_imageserver(
    tool: Tool, host: str = "", port: int = 0, server_type: str = "", filename: str = ""
) -> None:
    """Switch sending off, without a host, or on; where images are sent is configuration, not for clients to say."""
    await tool.put("send_image", bool(host))


def operation_status(tool: Tool, id: str) -> Any:
    """What became of an operation."""
    return tool.run("operation_status", id=id)


async def is_comparison(tool: Tool, image_type: str = "") -> int:
    """1 for a type that is one of lamps."""
    return int(await tool.run("is_comparison", image_type=image_type))


def is_idle(state: str) -> int:
    """1 when no exposure runs."""
    return int(FLAGS[ExposureState(state)][0] == 0)


DETECTOR: Final[Table] = {
    "get_roi": do(lambda tool, **_: tool.value("roi"), ROI_NUMBER, reads_only=True),
    "set_roi": run("set_roi", *ROI),
    "roi_reset": run("roi_reset"),
    "get_format": read("format"),
    "set_format": run("set_format", *FORMAT),
    "get_focalplane": read("focal_plane", then=focal_plane),
    "set_focalplane": run("set_focalplane", *FOCAL_PLANE),
    "set_ref_pixel": do(set_ref_pixel, several("XY", number, "position")),
    "set_extension_position": run("set_extension_position", several("XY", number, "positions")),
    "set_detnum": run("set_detnum", several("det_number", whole, "numbers")),
    "set_detgap": run("set_detgap", several("det_gap", number, "gaps")),
    "set_detpos": run("set_detpos", several("det_position", number, "positions")),
    "set_jpg_order": run("set_jpg_order", several("Indices", whole, "numbers", "indices")),
    "set_extname": run("set_extname", several("ext_name", text, "names")),
    "set_extnum": run("set_extnum", several("ext_number", whole, "numbers")),
}


async def write_file(tool: Tool, filename: str, code: int = -1) -> None:
    """Write the last image once more; -1: as the file type is set."""
    if code not in (-1, *FILE_TYPES.values()):
        raise RangeError(f"filetype = {code} is none of {', '.join(f'{v} {k}' for k, v in FILE_TYPES.items())}")
    label = next((label for label, number in FILE_TYPES.items() if number == code), "")
    await tool.done("write_file", filename=filename, file_type=label)


IMAGE: Final[Table] = {
    "write_file": do(
        write_file,
        Argument("filename", text, required=True),
        Argument("filetype", whole, target="code"),
        silent=True,
    ),
}

SEND_IMAGE: Final[Table] = {
    "set_remote_imageserver": do(
        set_remote_imageserver,
        Argument("remote_imageserver_host", text_or_nothing, target="host"),
        Argument("remote_imageserver_port", whole, target="port"),
        Argument("remote_imageserver_type", text, target="server_type"),
        Argument("remote_imageserver_filename", text, target="filename"),
    ),
}

EXPOSURE: Final[Table] = {
    **TOOL,
    **HEADER,
    **DETECTOR,
    # Exposures
    "expose": done("expose", SECONDS, TYPE, TITLE),
    "expose1": run("expose", SECONDS, TYPE, TITLE),
    "sequence": done("sequence", COUNT, FLUSH, DELAY),
    "sequence1": run("sequence", COUNT, FLUSH, DELAY),
    "guide": done("guide", Argument("number_exposures", whole, 1, target="count")),
    "guide1": run("guide", Argument("number_exposures", whole, 1, target="count")),
    "test": done("test", Argument("exposure_time", number, 0.0, target="seconds", others=("et",)),
                 Argument("shutter", flag, False, target="open_shutter")),
    "begin": done("begin", SECONDS, TYPE, TITLE),
    "integrate": done("integrate"),
    "readout": done("readout"),
    "end": done("end"),
    "rescue": done("rescue", Argument("folder", text)),
    "start": NOTHING,
    "finish": NOTHING,
    "set_temp_files": NOTHING,
    # While one runs
    "abort": run("abort"),
    "pause": run("pause"),
    "pause_exposure": run("pause"),
    "resume": run("resume"),
    "resume_exposure": run("resume"),
    "start_readout": run("start_readout"),
    "stop_sequence": run("stop_sequence"),
    "operation_status": do(operation_status, Argument("id", text, required=True), reads_only=True),
    # The controller
    "flush": done("flush", Argument("cycles", whole, 1, others=("Cycles",))),
    "parshift": done("parshift", Argument("number_rows", whole, required=True, target="rows")),
    "set_shutter": run("set_shutter", *SHUTTER),
    # Settings
    "get_exposuretime": read("exposure_time"),
    "set_exposuretime": put("exposure_time", Argument("exposure_time", number, required=True)),
    "get_exposuretime_remaining": read("exposure_time_remaining"),
    "get_pixels_remaining": read("pixels_remaining"),
    "get_image_title": read("image_title"),
    "set_image_title": put("image_title", Argument("title", text_or_nothing, "", rest=True)),
    "get_image_type": read("image_type"),
    "set_image_type": put("image_type", Argument("image_type", text, "zero", others=("imagetype",))),
    "get_image_types": read("image_types"),
    "check_comparison_imagetype": do(is_comparison, TYPE, reads_only=True),
    "set_auto_title": do(set_auto_title, Argument("flag", whole), silent=True),
    "set_test_image": put("test_image", Argument("flag", flag, required=True)),
    "get_test_image": do(lambda tool: int(tool.value("test_image")), reads_only=True),
    "set_tdi_delay": put("tdi_mode", Argument("flag", flag, required=True)),
    "set_detpars": run("set_detpars", Argument("sensor_data", mapping, required=True, target="detector", rest=True)),
    "set_data_order": run("set_data_order", several("dataOrder", whole, "order", "data_order")),
    # Files
    "get_filename": read("filename"),
    "set_filename": run("set_filename", Argument("filename", text, required=True, rest=True)),
    "get_last_filename": read("last_filename"),
    # What it does
    "get_exposureflag": do(exposure_flag, reads_only=True),
    "finished": read("exposure_state", then=is_idle),
    "check_image_ready": do(image_ready, of_camera=True),
    "get_status": do(status, of_camera=True, reads_only=True),
    # Headers
    "read_header_file": run("read_header", Argument("filename", text, required=True, target="path")),
    "update_headers": do(update_headers, of_camera=True, silent=True),
    "record_current_times": NOTHING,
}  # fmt: skip


async def focus_run(camera: Camera, **words: Any) -> Any:
    """Take a focus run; what is left out is as set_pars has it."""
    return await camera.tool("exposure").done("focus_run", **{**camera.focus, **words})


async def set_focus_pars(camera: Camera, **words: Any) -> None:
    """Set what the next focus runs are; what is given with a run goes before."""
    camera.focus.update(words)


_FOCUS_ARGUMENTS: Final = (
    Argument("exposure_time", number_or_nothing, target="seconds"),
    Argument("number_exposures", whole, target="steps"),
    Argument("focus_step", number, target="step"),
    Argument("detector_shift", whole, target="shift"),
)

FOCUS: Final[Table] = {
    "run": do(focus_run, *_FOCUS_ARGUMENTS, of_camera=True, silent=True),
    "set_pars": do(set_focus_pars, *_FOCUS_ARGUMENTS, of_camera=True, silent=True),
    "abort": run("abort"),
    "initialize": NOTHING,
    "reset": NOTHING,
}
