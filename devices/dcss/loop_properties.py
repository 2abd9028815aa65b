"""What a loop detector is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from devices.core import Properties, setting
from devices.core.executor import executor_factory
from devices.dcss.bridge_device import host_and_port
from devices.dcss.loop_collection import MOST_FRAMES, CollectionSettings
from devices.pipelines.loop.settings import LoopSettings


@dataclass(frozen=True)
class LoopProperties(Properties):
    """DCSS, camera, detection, collections, files."""

    executor: str = setting(
        "process:2", doc="Where pictures are examined: thread, process:N or module:factory", check=executor_factory
    )
    dcss: str = setting("127.0.0.1:14242", doc="HOST:PORT of DCSS for hardware", check=host_and_port)
    dhs_name: str = setting("", doc="Our own name in the database of DCSS; empty: none")
    bridge: str = setting("", doc="The bridge of this server whose name in DCSS is ours, too; empty: none")
    protocol: int = setting(0, doc="1 or 2; 0: as DCSS speaks", limits=(0, 2))
    snapshot_url: str = setting("", doc="Single pictures: http://HOST/axis-cgi/jpg/image.cgi?camera=1")
    stream_url: str = setting(
        "", doc="An endless stream instead of pushed pictures: http://HOST/axis-cgi/mjpg/video.cgi"
    )
    fresh_seconds: float = setting(0.5, doc="A pushed picture so young answers for the present, s", limits=(0.0, 60.0))
    pin_side: Literal["left", "right"] = setting("left", doc="The edge of the picture that the pin comes from")
    least_score: float = setting(0.3, doc="Below it there is no loop", limits=(0.0, 1.0))
    finder: Literal["auto", "classical", "network"] = setting("auto", doc="How loops are looked for")
    automl: str = setting("", doc="HOST:PORT of an AutoML service that looks for loops instead; empty: we do")
    at_once: int = setting(2, doc="Pictures that are examined at the same time", limits=(1, 64))
    queue: int = setting(256, doc="Pictures that may wait; then the oldest is dropped", limits=(1, 10_000))
    video_fps: float = setting(30.0, doc="Pictures per second of a rotation, 1/s", limits=(0.01, 1000.0))
    osci_time: float = setting(3.0, doc="How long a rotation takes, s", limits=(0.01, 3600.0))
    osci_delta: float = setting(180.0, doc="Angle of a rotation, deg", limits=(-3600.0, 3600.0))
    collect_frames: int = setting(0, doc="A collection ends after so many; 0: when stopped", limits=(0, MOST_FRAMES))
    collect_seconds: float = setting(
        60.0, doc="A collection ends at the latest after this time, s", limits=(0.1, 3600.0)
    )
    frame_seconds: float = setting(5.0, doc="How long the answer to a picture may take, s", limits=(0.05, 600.0))
    linger_seconds: float = setting(
        0.15, doc="After a stop, pictures may be so long on their way, s", limits=(0.0, 1.0)
    )
    rows: Literal["each", "list"] = setting("each", doc="One row per update as they come, or lists of rows at the end")
    show_rate: float = setting(5.0, doc="Pictures per second that are shown, 1/s", limits=(0.1, 100.0))
    show_rows: int = setting(480, doc="Larger pictures are shown reduced to so many rows", limits=(16, 1080))
    show_columns: int = setting(720, doc="... and columns", limits=(16, 1440))
    save_folder: Path | None = setting(None, doc="Where pictures of collections are written when that is switched on")
    save_collections: int = setting(100, doc="So many collections are kept, the oldest go", limits=(1, 100_000))

    @property
    def shown(self) -> tuple[int, int]:
        """Largest rows and columns of a picture that is shown."""
        return self.show_rows, self.show_columns

    @property
    def degrees_per_frame(self) -> float:
        """How far the spindle turns from one picture of a rotation to the next, deg."""
        return self.osci_delta / (self.osci_time * self.video_fps)

    def how(self) -> LoopSettings:
        """How loops are looked for."""
        return LoopSettings(self.pin_side, self.least_score, self.finder)

    def collection(self) -> CollectionSettings:
        """When collections end."""
        return CollectionSettings(self.collect_frames, self.collect_seconds, self.frame_seconds, self.linger_seconds)
