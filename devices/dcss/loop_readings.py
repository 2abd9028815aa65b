"""What a loop detector shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devices.core import Deadband, Device, attribute
from devices.dcss.loop_collection import MOST_FRAMES
from devices.dcss.loop_picture import Examined
from devices.dcss.loop_properties import LoopProperties
from devices.dcss.loop_rows import LoopRow
from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.series import RotationFit

SHOWN_ROWS, SHOWN_COLUMNS = 1080, 1440
CALM = Deadband(period=0.5)
#: Rows of the table of the newest ones.
TABLE_ROWS = 20


class LoopReadings(Device):
    """The attributes of a loop detector and what fills them; fractions are of the picture, y downwards."""

    properties_class = LoopProperties
    properties: LoopProperties

    image = attribute(
        np.uint8, shape=(SHOWN_ROWS, 3 * SHOWN_COLUMNS), colour="RGB1", group="Camera", doc="The picture of the camera"
    )
    overlay = attribute(
        np.uint8, shape=(SHOWN_ROWS, 3 * SHOWN_COLUMNS), colour="RGB1", group="Camera",
        doc="The same with box, tip and end of the pin",
    )  # fmt: skip
    looks_always = attribute(
        bool, access="read_write", initial=True, memorized="apply", group="Camera",
        doc="Whether pictures are examined between collections, too, as often as they are shown",
    )  # fmt: skip
    frame_rate = attribute(float, unit="1/s", precision=1, initial=0.0, group="Camera", doc="Pictures that arrive")
    frames_received = attribute(int, initial=0, group="Camera", change=CALM, doc="Pictures since the start")
    frames_refused = attribute(int, initial=0, group="Camera", doc="What came and was no picture")
    last_refusal = attribute(str, initial="", group="Camera", doc="Why the last one was refused")
    frames_dropped = attribute(int, initial=0, group="Camera", doc="Pictures that waited too long and were dropped")
    frames_waiting = attribute(int, initial=0, group="Camera", doc="Pictures that wait to be examined")

    found = attribute(bool, initial=False, group="Loop", doc="Whether the newest picture shows a loop")
    message = attribute(str, initial="", group="Loop", doc="Why not", text_limit=79)
    loop_class = attribute(str, initial="", group="Loop", doc="nylon, mitegen or pin", text_limit=39)
    score = attribute(float, initial=0.0, precision=3, group="Loop", doc="How sure it is, 0 to 1")
    tip_x = attribute(float, initial=0.0, precision=5, group="Loop", doc="Of the width, from the left")
    tip_y = attribute(float, initial=0.0, precision=5, group="Loop", doc="Of the height, from the top")
    tip_x_pixels = attribute(float, initial=0.0, unit="px", precision=1, group="Loop", doc="Tip, column of the picture")
    tip_y_pixels = attribute(float, initial=0.0, unit="px", precision=1, group="Loop", doc="Tip, row of the picture")
    pin_base_x = attribute(float, initial=0.0, precision=5, group="Loop", doc="Where the pin ends, of the width")
    fiber_width = attribute(float, initial=0.0, precision=5, group="Loop", doc="Of the fibre, of the height")
    loop_width = attribute(float, initial=0.0, precision=5, group="Loop", doc="Across the axis, of the height")
    loop_length = attribute(float, initial=0.0, precision=5, group="Loop", doc="Along the axis, of the width")
    box = attribute(float, shape=(4,), group="Loop", doc="Box of the loop: x from, to, y from, to")

    collecting = attribute(bool, initial=False, group="Collection", doc="Whether a rotation is being collected")
    collections = attribute(int, initial=0, group="Collection", doc="Collections since the start")
    rows = attribute(
        str, initial="", text_limit=1 << 20, group="Collection",
        doc="The rows of the newest collection as DCSS gets them: index, status, tip, pin base, fibre and loop width, "
        " box, length, micromount, class, score",
    )  # fmt: skip
    newest_rows = attribute(
        str, initial="", text_limit=8192, group="Collection",
        doc="The last of them as a table: index, tip x and y, box x from and to, y from and to, width, score, class",
    )  # fmt: skip
    rows_failed = attribute(int, initial=0, group="Collection", doc="Of them, those without a loop")
    row_delay = attribute(
        float,
        initial=0.0,
        unit="ms",
        precision=1,
        group="Collection",
        doc="From the last picture until its row was told",
    )
    row_angles = attribute(
        float,
        shape=(MOST_FRAMES,),
        unit="deg",
        group="Rotation",
        doc="Angle of each row, from the begin of the rotation",
    )
    row_widths = attribute(
        float, shape=(MOST_FRAMES,), group="Rotation", doc="Width of the loop in each row; NaN where there is none"
    )
    row_tips = attribute(
        float, shape=(MOST_FRAMES,), group="Rotation", doc="Tip in each row, y; NaN where there is none"
    )
    rotation_found = attribute(bool, initial=False, group="Rotation", doc="Whether sines were fitted to the rotation")
    face_angle = attribute(
        float, initial=0.0, unit="deg", precision=1, group="Rotation", doc="Where the loop is widest"
    )
    edge_angle = attribute(float, initial=0.0, unit="deg", precision=1, group="Rotation", doc="Where it is narrowest")
    width_mean = attribute(float, initial=0.0, precision=5, group="Rotation", doc="Of the sine of the width")
    width_amplitude = attribute(float, initial=0.0, precision=5, group="Rotation", doc="Of the sine of the width")
    tip_amplitude = attribute(float, initial=0.0, precision=5, group="Rotation", doc="Of the sine of the tip")

    link = attribute(str, initial="", group="DCSS", doc="The connection to DCSS of our own name", text_limit=39)
    logins = attribute(int, initial=0, group="DCSS", doc="Logins since the start")
    losses = attribute(int, initial=0, group="DCSS", doc="Logins that ended since the start")
    last_loss = attribute(str, initial="", group="DCSS", doc="Why the last one ended")
    operations_completed = attribute(int, initial=0, group="DCSS", doc="Operations of DCSS that were completed")

    save_image_files = attribute(
        bool, access="read_write", initial=False, memorized="apply", group="Files",
        doc="Whether the pictures of collections are written",
    )  # fmt: skip
    save_path = attribute(str, initial="", group="Files", doc="Where those of the newest collection are")
    saves_lost = attribute(int, initial=0, group="Files", doc="Pictures that could not be written in time, or at all")

    def publish_found(self, examined: Examined) -> None:
        """Show what a picture shows."""
        found: LoopResult = examined.result
        self.found.publish_change(found.found)
        self.message.publish_change(found.message)
        self.loop_class.publish_change(found.kind)
        self.score.publish(found.score)
        self.tip_x.publish(found.tip_x)
        self.tip_y.publish(found.tip_y)
        self.tip_x_pixels.publish(found.tip_x * examined.columns)
        self.tip_y_pixels.publish(found.tip_y * examined.rows)
        self.pin_base_x.publish(found.pin_base_x)
        self.fiber_width.publish(found.fiber_width)
        self.loop_width.publish(found.loop_width)
        self.loop_length.publish(found.loop_width_x)
        self.box.publish(np.array([found.box_min_x, found.box_max_x, found.box_min_y, found.box_max_y]))
        if examined.picture is not None and examined.overlay is not None:
            self.image.publish(examined.picture.reshape(len(examined.picture), -1))
            self.overlay.publish(examined.overlay.reshape(len(examined.overlay), -1))

    def publish_rows(self, rows: Sequence[LoopRow]) -> None:
        """Show the rows of a collection."""
        self.rows.publish("\n".join(" ".join(map(str, row.words()[1:])) for row in rows))
        self.newest_rows.publish(table(rows))
        self.rows_failed.publish(sum(not row.is_good for row in rows))
        self.row_angles.publish(np.array([row.index for row in rows]) * self.properties.degrees_per_frame)
        self.row_widths.publish(np.array([row.result.loop_width if row.is_good else np.nan for row in rows]))
        self.row_tips.publish(np.array([row.result.tip_y if row.is_good else np.nan for row in rows]))

    def publish_rotation(self, fit: RotationFit | None) -> None:
        """Show what all pictures of a rotation say together."""
        self.rotation_found.publish(fit is not None and fit.found)
        if fit is None or not fit.found:
            return
        self.face_angle.publish(fit.face_deg)
        self.edge_angle.publish(fit.edge_deg)
        self.width_mean.publish(fit.width_mean)
        self.width_amplitude.publish(fit.width_amplitude)
        self.tip_amplitude.publish(fit.tip_amplitude)


def table(rows: Sequence[LoopRow]) -> str:
    """The last rows in columns, the newest at the end; numbers are of one length, as panels have no typewriter."""
    lines = []
    for row in rows[-TABLE_ROWS:]:
        found = row.result
        if not row.is_good:
            lines.append(f"{row.index:03d}   {row.failure}")
            continue
        box = f"{found.box_min_x:.3f}-{found.box_max_x:.3f}   {found.box_min_y:.3f}-{found.box_max_y:.3f}"
        tip = f"{found.tip_x:.3f}   {found.tip_y:.3f}"
        lines.append(f"{row.index:03d}   {tip}   {box}   {found.loop_width:.3f}   {found.score:.2f}   {found.kind}")
    return "\n".join(lines)
