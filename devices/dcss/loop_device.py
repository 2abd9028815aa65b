"""The loop detector: takes the pictures of the sample camera and tells DCSS, and everybody else, where the loop is."""

from __future__ import annotations

import asyncio
import builtins
import io
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any, Final

from PIL import Image

from devices.core import Argument, DeviceState, Operation, command, operation, poll
from devices.core.client import asked_by
from devices.core.errors import BadValueError, BusyError, DiptychError, NotConnectedError, TimeoutError, reason
from devices.dcss.bridge import Bridge
from devices.dcss.bridge_device import DcssBridge, host_and_port
from devices.dcss.dhs_link import DhsLink, LinkSettings
from devices.dcss.loop_camera import CameraOperations, LooksAtSample
from devices.dcss.loop_collection import MOST_FRAMES, CollectionSettings, LoopCollection
from devices.dcss.loop_finder import LoopFinder
from devices.dcss.loop_frames import CameraFrame, FrameInlet, TakesFrames
from devices.dcss.loop_operations import CollectOperations, Tell
from devices.dcss.loop_picture import Examined, examine
from devices.dcss.loop_readings import LoopReadings
from devices.dcss.loop_rows import LoopRow
from devices.dcss.loop_saving import SavedCollection
from devices.dcss.operation import DhsOperations, OperationCall, Work
from devices.drivers.automl import AutomlClient
from devices.drivers.axis_camera import AxisCamera
from devices.pipelines.loop.series import RotationFit, fit_rotation

#: For a pushed picture, where the camera cannot be asked, s.
PUSHED_WITHIN_S: Final = 2.0
STREAM_RETRY_S: Final = 1.0
#: While the camera sends nothing by itself, it is asked for a picture so often, s.
IDLE_LOOK_S: Final = 1.0
MASK: Final = "mask.jpg"
#: The rows of a collection that runs are shown so often, s.
ROWS_PERIOD_S: Final = 0.5


class LoopDetector(LoopReadings, TakesFrames, LooksAtSample):
    """Finds the loop that holds a crystal in pictures of the sample camera, for DCSS and for anybody else.

    Pictures come from the receiver of its ``axis`` service, from a stream, or one by one from the camera.
    """

    def build(self) -> None:
        self._inlet = FrameInlet()
        self._finder: LoopFinder | None = None
        self._axis: AxisCamera | None = None
        self._own: Bridge | None = None
        self._link: DhsLink | None = None
        self._served: DhsOperations | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._rows: Sequence[LoopRow] = ()
        self._fit: asyncio.Task[RotationFit | None] | None = None
        self._open = self._lost_saves = 0
        self._shown_at = self._rows_at = 0.0
        #: Whether the processes have loaded what they need: the first pictures are as fast as the others.
        self.warmed = False
        given = self.properties
        if given.save_folder is not None:
            self.mask_file = given.save_folder / MASK
        self._collect = CollectOperations(
            self._opened, lambda: self._rows, self._newest_fit, as_list=given.rows == "list"
        )
        self._works = {**CameraOperations(self).works, **self._collect.works}

    async def connect(self) -> None:
        given = self.properties
        self._finder = LoopFinder(
            lambda: self.executor,
            given.how(),
            service=AutomlClient(given.automl, threshold=given.least_score) if given.automl else None,
            at_once=given.at_once,
            capacity=given.queue,
        )
        self._axis = AxisCamera(given.snapshot_url, given.stream_url)
        self._tasks = [
            asyncio.create_task(self._live(), name=f"{self.name} live"),
            asyncio.create_task(self._warm(), name=f"{self.name} warms up"),
        ]
        if given.stream_url:
            self._tasks.append(asyncio.create_task(self._follow(self._axis), name=f"{self.name} stream"))
        if given.dhs_name:
            self._own = own = Bridge(self.neighbours, self.log)
            self._serve(own.operations)
            settings = LinkSettings(protocol=given.protocol)
            self._link = DhsLink(*host_and_port(given.dcss), given.dhs_name, own, settings)
            await self._link.start()
        self.set_state(DeviceState.ON)

    async def disconnect(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        if self._served is not None:
            self._served.remove(self._works)
        own, self._own, self._served = self._own, None, None
        if own is not None:
            await own.close()
        link, self._link = self._link, None
        if link is not None:
            await link.stop()
        finder, self._finder = self._finder, None
        if finder is not None:
            await finder.close()
        if self._axis is not None:
            await self._axis.close()

    # Pictures

    @property
    def frames(self) -> FrameInlet:
        return self._inlet

    @property
    def pin_side(self) -> str:
        return self.properties.pin_side

    @property
    def last_rows(self) -> Sequence[LoopRow]:
        return self._rows

    async def look(self, key: str, *, masked: bool = False) -> Examined:
        frame = await self._present()
        mask = self.mask if masked else None
        found = self._finding.find(frame, key, urgent=True, shown=self.properties.shown, mask=mask)
        seen = await asyncio.shield(found)
        self.publish_found(seen)
        return seen

    async def fetch(self) -> bytes:
        return (await self._present()).packed

    async def _present(self) -> CameraFrame:
        """The picture of now: one that was pushed a moment ago, or one that the camera is asked for."""
        newest = self._inlet.newest
        if newest is not None and self._inlet.age() <= self.properties.fresh_seconds:
            return newest
        if self._axis is not None and self._axis.snapshot_url:
            return self._inlet.fetched(await self._axis.snapshot())
        try:
            return await asyncio.wait_for(self._inlet.next(), PUSHED_WITHIN_S)
        except builtins.TimeoutError:
            raise TimeoutError(f"the camera has sent no picture within {PUSHED_WITHIN_S:g} s") from None

    async def _warm(self) -> None:
        """Let every process load what it needs before the first picture comes."""
        grey = io.BytesIO()
        Image.new("RGB", (704, 480), (180, 180, 180)).save(grey, "JPEG")
        work = [
            self.executor.submit(examine, grey.getvalue(), self.properties.how())
            for _ in range(self.properties.at_once)
        ]
        try:
            await asyncio.gather(*map(asyncio.wrap_future, work))
            self.warmed = True
        except Exception as error:
            self.log.error("pictures cannot be examined: %s: %s", reason(error), error)
            self.set_fault("finder", f"pictures cannot be examined: {reason(error)}: {error}")

    @property
    def _finding(self) -> LoopFinder:
        if self._finder is None:
            raise NotConnectedError(f"{self.name} is not connected")
        return self._finder

    async def _live(self) -> None:
        """Examine pictures while nothing is collected, as often as they are shown."""
        while True:
            await asyncio.sleep(1.0 / self.properties.show_rate)
            frame = await self._next_to_show()
            if frame is None or self._open or not self.looks_always.value:
                continue
            try:
                found = self._finding.find(frame, f"live:{frame.sequence}:0", shown=self.properties.shown)
                self.publish_found(await asyncio.shield(found))
            except (BadValueError, BusyError) as error:
                self.message.publish_change(str(error)[:79])
            except Exception as error:
                self.log.error("a picture could not be examined: %s: %s", reason(error), error)
                self.set_fault("finder", f"pictures cannot be examined: {reason(error)}: {error}")
            else:
                self.set_fault("finder", "")

    async def _next_to_show(self) -> CameraFrame | None:
        """The next picture that arrives; while none does, the camera is asked for one now and then."""
        asks = self._axis is not None and self._axis.snapshot_url and self.looks_always.value and not self._open
        try:
            return await asyncio.wait_for(self._inlet.next(), IDLE_LOOK_S if asks else None)
        except builtins.TimeoutError:
            pass
        assert self._axis is not None
        try:
            frame = self._inlet.fetched(await self._axis.snapshot())
        except DiptychError as error:
            self.set_fault("camera", str(error))
            return None
        self.set_fault("camera", "")
        return frame

    async def _follow(self, camera: AxisCamera) -> None:
        """Take the pictures of the camera's stream, again and again."""
        while True:
            try:
                async with aclosing(camera.stream()) as stream:
                    async for packed in stream:
                        self._inlet.take(packed)
                        self.set_fault("stream", "")
                why = f"{camera.stream_url}: the stream has ended"
            except DiptychError as error:
                why = str(error)
            self.set_fault("stream", why)
            await asyncio.sleep(STREAM_RETRY_S)

    # Collections

    @asynccontextmanager
    async def _opened(
        self, key: str, tell: Tell, stop: asyncio.Event, settings: CollectionSettings | None = None
    ) -> AsyncIterator[LoopCollection]:
        """A collection that takes the pictures from now on, is shown, and saved where that is wanted."""
        given, finder = self.properties, self._finding
        saved: SavedCollection | None = None
        if self.save_image_files.value and given.save_folder is not None:
            saved = SavedCollection(given.save_folder, key.partition(":")[2], given.save_collections, self.log)
            self.save_path.publish(str(saved.path))

        def told(frame: CameraFrame | None, row: LoopRow) -> None:
            tell(frame, row)
            if saved is not None:
                saved.add(frame, row)
            self._show_row(collection, row)

        collection = LoopCollection(
            key, self._inlet, finder, settings or given.collection(), told, self._shown_now, stop
        )
        self._open += 1
        self.collections.publish(self.collections.value + 1)
        self.collecting.publish_change(True)
        try:
            with collection:
                yield collection
        finally:
            self._open -= 1
            self.collecting.publish_change(self._open > 0)
            self._rows = collection.rows
            self.publish_rows(collection.rows)
            self.row_delay.publish(1000.0 * collection.delay)
            self._fit = asyncio.create_task(self._fitted(collection), name=f"{self.name} fit of {key}")
            self._tasks.append(self._fit)
            if saved is not None:
                self._tasks.append(asyncio.create_task(self._end_saving(saved), name=f"{self.name} files of {key}"))

    async def _newest_fit(self) -> RotationFit | None:
        """The sines through the newest rotation; None: there is none, or nothing fits."""
        return None if self._fit is None else await asyncio.shield(self._fit)

    async def _fitted(self, collection: LoopCollection) -> RotationFit | None:
        """Sines through the rows of a collection, shown while it is the newest one."""
        try:
            rows = collection.rows
            angles = [row.index * self.properties.degrees_per_frame for row in rows]
            fit: RotationFit | None = None
            if rows:
                work = self.executor.submit(fit_rotation, [row.result for row in rows], angles)
                fit = await asyncio.wrap_future(work)
            if self._rows is rows:
                self.publish_rotation(fit)
            return fit
        except Exception as error:
            self.log.error("no sines through the rotation: %s: %s", reason(error), error)
            return None
        finally:
            self._forget_task()

    async def _end_saving(self, saved: SavedCollection) -> None:
        try:
            await saved.close()
            self._lost_saves += saved.lost
            self.saves_lost.publish_change(self._lost_saves)
        finally:
            self._forget_task()

    def _forget_task(self) -> None:
        self._tasks = [task for task in self._tasks if task is not asyncio.current_task()]

    def _shown_now(self) -> tuple[int, int] | None:
        """How large a picture that has just arrived is to be shown; None: not at all, the last one was a moment ago."""
        now = time.monotonic()
        if now - self._shown_at < 1.0 / self.properties.show_rate:
            return None
        self._shown_at = now
        return self.properties.shown

    def _show_row(self, collection: LoopCollection, row: LoopRow) -> None:
        if row.examined is not None and row.examined.picture is not None:
            self.publish_found(row.examined)
        if time.monotonic() - self._rows_at >= ROWS_PERIOD_S:
            self._rows_at = time.monotonic()
            self.publish_rows([*collection.rows, row])

    # Commands

    @command(group="Loop")
    async def find_loop(self) -> dict[str, Any]:
        """Look for the loop in the present picture: status, x and y of the tip in pixels, and all that is known.

        ``status`` is ``Coord``, and x and y are those of the picture, as centring programs expect them.
        """
        seen = await self.look(f"find_loop:{time.time_ns()}:0")
        found = seen.result
        return {
            "status": "Coord" if found.found else "No loop detected",
            "x": found.tip_x * seen.columns,
            "y": found.tip_y * seen.rows,
            "message": found.message,
            "class": found.kind,
            "score": found.score,
            "box": [found.box_min_x, found.box_max_x, found.box_min_y, found.box_max_y],
            "loop_width": found.loop_width,
            "pin_base_x": found.pin_base_x,
            "columns": seen.columns,
            "rows": seen.rows,
        }

    @operation(group="Collection")
    async def collect(
        self,
        run: Operation,
        frames: Annotated[int, Argument(limits=(0, MOST_FRAMES), doc="Ends after so many; 0: when stopped")] = 0,
        seconds: Annotated[float, Argument(unit="s", limits=(0.1, 3600.0), doc="Ends at the latest")] = 10.0,
    ) -> dict[str, Any]:
        """Collect the pictures of a rotation without DCSS."""
        given = self.properties
        settings = CollectionSettings(frames, seconds, given.frame_seconds, given.linger_seconds)

        def tell(_: CameraFrame | None, row: LoopRow) -> None:
            run.report(100.0 * (row.index + 1) / frames if frames else None, f"picture {row.index}")

        async with self._opened(f"collect:{run.id}", tell, asyncio.Event(), settings) as collection:
            rows = await collection.run()
        return {"rows": len(rows), "failed": sum(not row.is_good for row in rows)}

    @command(group="Collection")
    async def stop_collecting(self) -> None:
        """End the collections of DCSS early, with what there is."""
        self._collect.stop_all()

    @poll(0.5)
    async def poll_counters(self) -> None:
        """Camera, detection and link."""
        inlet, finder, link = self._inlet, self._finding, self._link
        self.frame_rate.publish_change(round(inlet.rate(), 1))
        self.frames_received.publish_change(inlet.received)
        self.frames_refused.publish_change(inlet.refused)
        self.last_refusal.publish_change(inlet.last_refusal)
        self.frames_dropped.publish_change(finder.dropped)
        self.frames_waiting.publish_change(finder.waiting)
        if self._served is not None:
            self.operations_completed.publish_change(self._served.completed)
        if link is not None:
            self.link.publish_change(link.state)
            self.logins.publish_change(link.logins)
            self.losses.publish_change(link.losses)
            self.last_loss.publish_change(link.last_loss)
            trouble = f"DCSS at {self.properties.dcss}: {link.last_loss or link.state}"
            self.set_fault("dcss", "" if link.is_online else trouble)

    @poll(0.5)
    async def poll_bridge(self) -> None:
        """Serve the operations of the bridge whose name we share; it has new ones whenever it connects again."""
        if not self.properties.bridge:
            return
        try:
            bridge = self.peers.find(self.properties.bridge, DcssBridge).bridge
        except NotConnectedError as error:
            self.set_fault("bridge", str(error))
            return
        self.set_fault("bridge", "")
        if bridge is not None and bridge.operations is not self._served:
            self._serve(bridge.operations)

    def _serve(self, operations: DhsOperations) -> None:
        for name, work in self._works.items():
            # Everybody may stop what runs, also while another client has the device.
            operations.add(name, work if name == "stopCollectLoopImages" else self._demanding(name, work))
        self._served = operations

    def _demanding(self, name: str, work: Work) -> Work:
        """The work, refused while a client other than DCSS has reserved the device."""

        async def demanded(call: OperationCall) -> Any:
            with asked_by(f"dcss {self.properties.dcss}"):
                self.reservation.demand(name)
                return await work(call)

        return demanded
