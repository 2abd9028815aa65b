"""A motor of DCSS: any neighbour that takes a target and says where it is."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from devices.core import Quality, Reading
from devices.core.errors import AbortedError, BadValueError, NotConnectedError, RangeError, TimeoutError, reason
from devices.core.neighbours import ANSWER_SECONDS
from devices.dcss.bridge_member import TELL_SECONDS, Member, Surroundings, number
from devices.dcss.handler import Message
from devices.dcss.motor_configuration import MotorConfiguration
from devices.dcss.motor_mapping import MotorMapping

MOVING_STATES = frozenset({"MOVING", "RUNNING"})


class Motor(Member):
    """Moves, tells where it is, and is completed once for each move.

    A move that anybody else makes is told as updates of the position. After a loss of DCSS the move goes on; DCSS has
    ended it by itself, so only its position is told later.
    """

    kind: ClassVar[str] = "real_motor"

    def __init__(self, mapping: MotorMapping, around: Surroundings) -> None:
        super().__init__(mapping.name, around)
        self.mapping = mapping
        self.configuration: MotorConfiguration | None = None
        self._readings: dict[str, Reading[Any]] = {}
        self._news = asyncio.Event()
        self._move: asyncio.Task[None] | None = None
        self._is_aborting = False
        self._is_announced = False
        self._told_at, self._told = 0.0, ""
        self._telling: asyncio.TimerHandle | None = None

    @property
    def is_moving(self) -> bool:
        return self._move is not None and not self._move.done()

    @property
    def position(self) -> float | None:
        """Where it is, in DCSS' unit; None: not known."""
        reading = self._readings.get("position")
        if reading is None or reading.value is None:
            return None
        return (float(reading.value) - self._offset) / self.mapping.factor

    @property
    def _offset(self) -> float:
        return self.mapping.offset + self.around.offsets.get(self.name, 0.0)

    def begin(self) -> None:
        for role, address in self.mapping.watched().items():
            self.watch(address, partial(self._changed, role))

    def registered(self, message: Message) -> None:
        super().registered(message)
        self._is_announced, self._told = False, ""
        # Its scale, speed and flags are DCSS' own; the answer is completed with what the hardware knows better.
        self.send("htos_send_configuration")

    def lost(self) -> None:
        super().lost()
        self._is_announced = False

    def take(self, message: Message) -> None:
        words = message.words[1:]
        match message.command:
            case "stoh_configure_real_motor" | "stoh_configure_pseudo_motor" | "stoh_configure_device":
                self.configuration = MotorConfiguration.parse(words)
                self._announce()
            case "stoh_start_motor_move" if words:
                self._start(self._run([number(words[0], self.name)]), number(words[0], self.name))
            case "stoh_abort_motor_move":
                self.abort()
            case "stoh_set_motor_position" if words:
                self.spawn(self._define(number(words[0], self.name)), "set position")
            case "stoh_correct_motor_position" if words:
                self.spawn(self._define((self.position or 0.0) + number(words[0], self.name)), "correct position")
            case "stoh_start_oscillation" if len(words) >= 3:
                shutter, delta, seconds = words[0], number(words[1], "delta"), number(words[2], "time")
                start = number(words[3], "start") if len(words) > 3 else None
                self._start(self._oscillate(shutter, delta, seconds, start), (self.position or 0.0) + delta)
            case "stoh_set_motor_dependency" | "stoh_set_motor_children":
                pass  # the order of moves is made by DCSS
            case _:
                raise self.refuse(message)

    def abort(self) -> None:
        if self.is_moving and not self._is_aborting:
            self._is_aborting = True
            self._news.set()
            self.spawn(self._halt(), "stop")

    def row(self) -> Mapping[str, Any]:
        return {"position": self.position, "moving": self.is_moving}

    def _changed(self, role: str, reading: Reading[Any]) -> None:
        self._readings[role] = reading
        self._news.set()
        if role == "position":
            self._announce()
            self._tell()
        elif role in ("lower", "upper"):
            self._is_announced = False
            self._announce()

    def _announce(self) -> None:
        """Say once per login what the hardware knows better: position and limits."""
        position = self.position
        if self._is_announced or not self.is_registered or self.configuration is None or position is None:
            return
        lower, upper = self._limits()
        found = replace(self.configuration, position=position)
        if lower is not None:
            found = replace(found, lower=lower, lower_on=True)
        if upper is not None:
            found = replace(found, upper=upper, upper_on=True)
        self._is_announced = self.send("htos_configure_device", *found.words(is_real=self.mapping.is_real))
        self.configuration = found

    def _limits(self) -> tuple[float | None, float | None]:
        """Of the hardware, in DCSS' unit."""
        given: list[float | None] = []
        for role, fixed in zip(("lower", "upper"), self.mapping.limits, strict=True):
            reading = self._readings.get(role)
            known = None if reading is None or reading.value is None else float(reading.value)
            given.append(fixed if known is None else (known - self._offset) / self.mapping.factor)
        low, high = given
        if low is not None and high is not None and low >= high:
            # A motor record without limits has 0 for both; a negative factor changes them over.
            return (high, low) if low > high else (None, None)
        return low, high

    def _tell(self) -> None:
        """Tell the position, not too often; also while somebody else moves it."""
        if not self.is_registered or self._telling is not None:
            return
        wait = self._told_at + TELL_SECONDS - time.monotonic()
        self._telling = asyncio.get_running_loop().call_later(max(0.0, wait), self._tell_now)

    def _tell_now(self) -> None:
        self._telling = None
        position = self.position
        if position is None or not self.is_registered:
            return
        status = "moving" if self.is_moving else "normal"
        if f"{position:f}" != self._told:
            self._told, self._told_at = f"{position:f}", time.monotonic()
            self.send("htos_update_motor_position", position, status)

    def _start(self, work: Any, target: float) -> None:
        generation = self.around.generation
        if refusal := self._refusal(target):
            work.close()
            self.send("htos_motor_move_completed", self.position or 0.0, refusal, generation=generation)
            return
        self._is_aborting = False
        self._move = self.spawn(self._completed(work, target, generation), "move")

    def _refusal(self, target: float) -> str:
        """Why it cannot move there, one word."""
        found = self.configuration
        if self.is_moving:
            return "moving"
        if self.position is None:
            return "not_connected"
        if found is None:
            return ""
        if found.lock_on:
            return "locked"
        beyond = (found.lower_on and target < found.lower) or (found.upper_on and target > found.upper)
        return "sw_limit" if beyond else ""

    async def _completed(self, work: Any, target: float, generation: int) -> None:
        self.send("htos_motor_move_started", target, generation=generation)
        try:
            await work
            status = self._switch() or "normal"
        except AbortedError:
            status = "aborted"
        except RangeError as error:
            self.around.log.warning("%s: %s", self.name, error)
            status = self._switch() or "sw_limit"
        except asyncio.CancelledError:
            status = "aborted"
            raise
        except Exception as error:
            self.around.log.error("%s does not move: %s: %s", self.name, reason(error), error)
            status = self._switch() or reason(error)
        finally:
            self._move = None
            position = self.position
            self._told = "" if position is None else f"{position:f}"
            told = target if position is None else position
            self.send("htos_motor_move_completed", told, status, generation=generation)

    async def _run(self, goals: list[float]) -> None:
        found = self.configuration
        if self.mapping.is_real and found is not None and found.backlash_on and found.scale:
            # The last approach is always from the same side.
            overshoot = found.backlash / found.scale
            if overshoot * (goals[-1] - (self.position or 0.0)) < 0.0:
                goals = [goals[-1] - overshoot, goals[-1]]
        for goal in goals:
            await self._go(goal)

    async def _put(self, position: float, seconds: float = ANSWER_SECONDS) -> None:
        if self._is_aborting:
            raise AbortedError(f"{self.name} was stopped")
        value = position * self.mapping.factor + self._offset
        await self.around.neighbours.put(self.mapping.setpoint, value, seconds)

    async def _go(self, goal: float) -> None:
        # A record answers a put when the move is over.
        is_record = self.mapping.setpoint.startswith(("ca:", "pva:"))
        put = asyncio.ensure_future(self._put(goal, self.mapping.seconds if is_record else ANSWER_SECONDS))
        put.add_done_callback(lambda _: self._news.set())
        try:
            await self._arrive(goal, put)
        finally:
            put.cancel()

    async def _arrive(self, goal: float, put: asyncio.Future[None]) -> None:
        """Wait until it is there.

        Raises:
            AbortedError: it was stopped. TimeoutError: it takes too long. NotConnectedError: nobody knows where it is.
        """
        began, taken, near_since, has_moved = time.monotonic(), math.inf, math.inf, False
        while True:
            self._news.clear()
            if put.done():
                put.result()
                taken = min(taken, time.monotonic())
            if self._is_aborting:
                while self._moves() and time.monotonic() < began + self.mapping.seconds:
                    await self._wait()
                raise AbortedError(f"{self.name} was stopped")
            position, elapsed = self.position, time.monotonic() - began
            moves = None if self.mapping.steady else self._moves()
            if position is None:
                raise NotConnectedError(f"{self.name}: its position is not known: {self._why()}")
            near_since = min(near_since, time.monotonic()) if self._is_within(position, goal) else math.inf
            is_near = time.monotonic() - near_since >= self.mapping.steady
            has_moved |= bool(moves)
            if moves is None:
                if put.done() and (is_near or self.mapping.tolerance is None):
                    return
            elif not moves and (has_moved or (put.done() and is_near)):
                return
            elif not moves and time.monotonic() - taken > self.mapping.settle:
                return  # it had nothing to do, or did it faster than anybody could see
            if elapsed > self.mapping.seconds:
                raise TimeoutError(f"{self.name} is at {position:g} and not at {goal:g} after {elapsed:.0f} s")
            await self._wait()

    async def _wait(self) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._news.wait(), 0.1)
        self._news.clear()

    def _moves(self) -> bool | None:
        """Whether the hardware says that it moves; None: it does not say."""
        for role, meaning in (("moving", True), ("done", False)):
            if (reading := self._readings.get(role)) is not None:
                if reading.value is None:
                    raise NotConnectedError(f"{self.name}: {reading.reason}")
                value = reading.value
                said = value in MOVING_STATES if isinstance(value, str) else bool(value)
                return said is meaning
        return None

    def _is_within(self, position: float, goal: float) -> bool:
        return self.mapping.tolerance is not None and abs(position - goal) <= self.mapping.tolerance

    def _switch(self) -> str:
        hit = [bool((reading := self._readings.get(f"{side}_switch")) and reading.value) for side in ("upper", "lower")]
        return {(True, True): "both_hw_limits", (True, False): "cw_hw_limit", (False, True): "ccw_hw_limit"}.get(
            (hit[0], hit[1]), ""
        )

    def _why(self) -> str:
        reading = self._readings.get("position")
        return reading.reason if reading is not None and reading.quality is Quality.INVALID else "no value yet"

    async def _halt(self) -> None:
        if self.mapping.hold and (position := self._readings["position"].value) is not None:
            await self.around.neighbours.put(self.mapping.setpoint, position)
        elif self.mapping.stop is None:
            self.around.log.warning("%s has nothing that stops it; its target stays as it is", self.name)
        elif self.mapping.stop.startswith(("ca:", "pva:")):
            await self.around.neighbours.put(self.mapping.stop, 1)
        else:
            await self.around.neighbours.run(self.mapping.stop, {})

    async def _define(self, position: float) -> None:
        """The place where it is has this position from now on."""
        if self.is_moving or self.position is None:
            raise BadValueError(f"{self.name} cannot be called {position:g} now: it moves, or its position is unknown")
        if self.mapping.define is not None:
            put = self.around.neighbours.put
            await put(self.mapping.define, 1)
            try:
                await put(self.mapping.setpoint, position * self.mapping.factor + self._offset)
            finally:
                await put(self.mapping.define, 0)
        else:
            self.around.offsets[self.name] = (
                self.around.offsets.get(self.name, 0.0) + (self.position - position) * self.mapping.factor
            )
            self.around.offsets_changed()
        self._tell()

    async def _oscillate(self, shutter: str, delta: float, seconds: float, start: float | None) -> None:
        """A uniform turn with the shutter open."""
        if seconds <= 0.0:
            raise RangeError(f"time = {seconds:g} s is not > 0 s")
        if start is not None:
            await self._go(start)
        begin = self.position
        if begin is None:
            raise NotConnectedError(f"{self.name}: its position is not known")
        opens = self.around.shutters.get(shutter)
        if opens is None and shutter.upper() != "NULL":
            raise BadValueError(f"oscillation of {self.name}: there is no shutter {shutter} here")
        neighbours, speed = self.around.neighbours, self.mapping.speed
        usual = (await neighbours.read(speed)).value if speed is not None else None
        try:
            if speed is not None:
                await neighbours.put(speed, abs(delta / seconds * self.mapping.factor))
            if opens is not None:
                await opens(True)
            if speed is None:
                await self._lead(begin, delta, seconds)
            await self._go(begin + delta)
        finally:
            # Also after an abort: nothing is exposed any longer than it must be.
            if opens is not None:
                await asyncio.shield(opens(False))
            if usual is not None and speed is not None:
                await neighbours.put(speed, usual)

    async def _lead(self, begin: float, delta: float, seconds: float) -> None:
        """Of what has no speed, the target itself turns uniformly."""
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            await self._put(begin + delta * elapsed / seconds)
            await self._wait_until(min(began + seconds, time.monotonic() + TELL_SECONDS))

    async def _wait_until(self, moment: float) -> None:
        while not self._is_aborting and (left := moment - time.monotonic()) > 0.0:
            self._news.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)


class PseudoMotor(Motor):
    """The same, for what DCSS calls a pseudo motor: fewer words of configuration."""

    kind: ClassVar[str] = "pseudo_motor"
