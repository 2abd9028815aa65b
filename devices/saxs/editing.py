"""What a calibration editor asks of the detector: the schema, checks, pictures of masks, curves of the newest image."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core import Argument, command
from devices.core.errors import BadValueError, ConfigurationError, DiptychError, NotAllowedError
from devices.drivers.chi_file import write_whole
from devices.drivers.json_schema import schema_of
from devices.drivers.limited_file import read_limited
from devices.drivers.mask_file import decode_mask
from devices.drivers.poni_file import encode_poni, poni_of
from devices.drivers.saxs_calibration import parse_calibration
from devices.drivers.saxs_calibration_import import imported, merged
from devices.saxs.control import QueueControl
from devices.saxs.readings import SaxsReadings
from devices.saxs.results import Attachment, Curve
from devices.saxs.run import MAX_MASK_BYTES

MASKS: Final = "masks"
PREVIEW_PX: Final = 200
MAX_UPLOAD_BYTES: Final = 4 << 20  # of text: a mask of 30 million pixels

MAX_DOCUMENT: Final = 1 << 20  # characters
#: Of a result, which has at most a million characters: an entry of the history takes 150, or more with a long path.
MOST_OF_HISTORY: Final = 4000

Document = Annotated[str, Argument(doc="The content of a calibration, JSON", text_limit=MAX_DOCUMENT)]
MaskPath = Annotated[str, Argument(doc="Relative to the base folder")]


class CalibrationEditing(SaxsReadings):
    """The commands that a calibration editor needs; none of them changes the queue."""

    control: QueueControl

    @command(reads_only=True)
    async def calibration_schema(self) -> dict[str, Any]:
        """The JSON schema of calibrations, with descriptions, bounds and defaults."""
        return dict(schema_of("saxs_calibration"))

    @command(reads_only=True)
    async def check_calibration(self, calibration: Document) -> list[str]:
        """What is wrong with a calibration, each line with its key; empty when a queue can begin with it."""
        try:
            document = json.loads(calibration)
        except (ValueError, RecursionError) as error:
            return [f"calibration: not JSON: {error}"]
        try:
            found = parse_calibration(document, "calibration", self.control.allowed.folders[0])
        except ConfigurationError as error:
            return list(error.problems)
        return await asyncio.to_thread(
            self._mask_problems, [mask.file for mask in found.masks], found.geometry.image_size
        )

    @command(reads_only=True)
    async def import_calibration(
        self,
        name: Annotated[str, Argument(doc="Of the file, for messages")],
        content: Annotated[str, Argument(doc="The file's text", text_limit=MAX_DOCUMENT)],
        template: Annotated[str, Argument(doc="A calibration with what the file lacks, JSON", text_limit=MAX_DOCUMENT)],
    ) -> dict[str, Any]:
        """A calibration from a file of Fit2D, Nika or pyFAI, or from Saxsdog's older JSON, and what it cannot say."""
        document = _object(template, "template")
        found = await asyncio.to_thread(imported, content, name, document)
        return {"calibration": merged(document, found.entries), "format": found.format, "notes": list(found.notes)}

    @command(reads_only=True)
    async def export_poni(self, calibration: Document) -> str:
        """The geometry of a calibration as a PONI file of pyFAI."""
        document = _object(calibration, "calibration")
        return encode_poni(poni_of(parse_calibration(document, "calibration", self.control.allowed.folders[0])))

    @command(reads_only=True)
    async def mask_preview(self, file: MaskPath) -> dict[str, Any]:
        """A small picture of a mask file.

        Its pixels are the share that is masked, 0 to 255, row by row from the top, in base64; 200 at most in a row or
        column. Beside it the size of the mask itself, and the number of its masked pixels.
        """
        mask = await asyncio.to_thread(self._mask, file)
        small = await asyncio.to_thread(reduced, mask, PREVIEW_PX)
        rows, columns = mask.shape
        return {
            "rows": rows,
            "columns": columns,
            "masked": int(mask.sum()),
            "width": small.shape[1],
            "height": small.shape[0],
            "pixels": base64.b64encode(small.tobytes()).decode(),
        }

    @command()
    async def keep_mask(
        self,
        name: Annotated[str, Argument(doc="Of the file, without a folder")],
        content: Annotated[str, Argument(doc="The file's bytes in base64", text_limit=MAX_UPLOAD_BYTES)],
    ) -> str:
        """Keep a mask file that lies on the client's machine; returns its name for calibrations."""
        if not re.fullmatch(r"[\w.+ -]{1,200}", name) or name.startswith("."):
            raise BadValueError(f"name = {name!r}: letters, digits and . _ + - only, and no folder")
        if len(content) > MAX_UPLOAD_BYTES:
            raise BadValueError(f"content has {len(content)} characters, more than {MAX_UPLOAD_BYTES}")
        try:
            data = base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise BadValueError(f"content is not base64: {error}") from error
        mask = await asyncio.to_thread(decode_mask, data, name)
        file = self.control.allowed.resolve(Path(MASKS) / name)
        await asyncio.to_thread(_store, file, data)
        self.log.info("mask %s of %d x %d px is kept", file, *mask.shape)
        return f"{MASKS}/{name}"

    @command()
    async def keep_queue_masks(self) -> list[str]:
        """Keep the masks of the queue, which may have come from a client's machine.

        Gives their names for calibrations, one for each of Masks; an empty one where nothing is masked.
        """
        run = self.control.run
        if run is None:
            raise NotAllowedError("there is no queue whose masks could be kept")
        attachments = iter(run.attachments)
        names = []
        for mask in run.calibration.masks:
            attachment = next(attachments, None) if mask.file is not None else None
            names.append("" if attachment is None else await asyncio.to_thread(self._kept, attachment))
        return names

    @command(reads_only=True)
    async def newest_curves(self) -> dict[str, Any]:
        """All curves of the queue's newest image; NaN as null. Empty before there is one."""
        found = self.control.newest_curves()
        if found is None:
            return {}
        return {
            "image": found.image,
            "time": found.time,
            "curves": [_curve(each) for each in found.curves],
        }

    @command(reads_only=True)
    async def integral_history(
        self, since: Annotated[int, Argument(doc="How many are known already", limits=(0, 1_000_000_000))] = 0
    ) -> dict[str, Any]:
        """The integral parameters of the queue's images for each mask, beginning with image ``since``.

        A part of them where there are many: ``count`` says how many there are. ``finished`` are the times at which
        images were done within the last 100 s, s since 1970.
        """
        known = self.control.integral_series()
        part = slice(since, since + MOST_OF_HISTORY // max(1, len(known)))
        return {
            "finished": [round(each, 3) for each in self.control.finished_times()],
            "series": {
                name: {
                    "count": len(series.time),
                    "time": series.time[part],
                    "file": [Path(each).name for each in series.file[part]],
                    "i0": _numbers(series.i0[part]),
                    "i1": _numbers(series.i1[part]),
                    "i2": _numbers(series.i2[part]),
                }
                for name, series in known.items()
            },
        }

    def _kept(self, mask: Attachment) -> str:
        """The name of a file with this mask; one that is another's stays as it is."""
        name = re.sub(r"[^\w.+ -]", "_", re.split(r"[/\\]", mask.filename)[-1]).lstrip(".")[-100:] or "mask"
        digest = hashlib.sha256(mask.data).hexdigest()[:8]
        for each in (name, f"{digest}-{name}"):
            file = self.control.allowed.resolve(Path(MASKS) / each)
            if not file.exists():
                _store(file, mask.data)
            elif read_limited(file, MAX_MASK_BYTES) != mask.data:
                continue
            return f"{MASKS}/{each}"
        raise BadValueError(f"{MASKS}/{digest}-{name} is there already, and is another mask")

    def _mask(self, file: str) -> NDArray[np.bool_]:
        path = self.control.allowed.resolve(file)
        return decode_mask(read_limited(path, MAX_MASK_BYTES), file)

    def _mask_problems(self, files: list[Path | None], image_size: tuple[int, int]) -> list[str]:
        problems = []
        for index, file in enumerate(files):
            if file is None:
                continue
            try:
                shape = self._mask(str(file)).shape
            except DiptychError as error:
                problems.append(f"Masks[{index}].MaskFile: {error}")
            else:
                if shape != image_size:
                    sizes = [" x ".join(map(str, each)) for each in (shape, image_size)]
                    problems.append(
                        f"Masks[{index}].MaskFile: a mask of {sizes[0]} px, Geometry.Imagesize says {sizes[1]} px"
                    )
        return problems


def reduced(mask: NDArray[np.bool_], most: int) -> NDArray[np.uint8]:
    """The share of masked pixels in equal blocks, 0 to 255, (rows, columns), at most ``most`` of each."""
    rows, columns = mask.shape
    step = max(1, -(-max(rows, columns) // most))
    padded = np.zeros((-(-rows // step) * step, -(-columns // step) * step), np.float32)
    padded[:rows, :columns] = mask
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    small: NDArray[np.uint8] = (blocks.mean(axis=(1, 3)) * 255).astype(np.uint8)
    return small


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadValueError(f"{name}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadValueError(f"{name}: not a JSON object")
    return document


def _curve(curve: Curve) -> dict[str, Any]:
    parameters = curve.parameters
    return {
        "name": curve.name,
        "title": str(curve.settings.get("Name", "")),
        "labels": list(curve.labels),
        "x": _numbers(curve.x.tolist()),
        "intensity": _numbers(curve.intensity.tolist()),
        "sigma": _numbers(curve.sigma.tolist()),
        "parameters": None if parameters is None else parameters._asdict(),
    }


def _numbers(values: Iterable[float]) -> list[float | None]:
    """With six digits, which is more than a screen shows; NaN as None."""
    return [None if value != value else float(f"{value:.6g}") for value in values]


def _store(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, data)
