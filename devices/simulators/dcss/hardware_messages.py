"""What a simulated DCSS does with each message of a hardware server."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from devices.simulators.dcss.core import Dcss, log
from devices.simulators.dcss.database import (
    DcssString,
    Encoder,
    IonChamber,
    Motor,
    Shutter,
)

MAX_STRING: Final = 1000
#: For clients; what a message becomes that is not forwarded.
NOTHING: Final = "htos_"
FORWARDED: Final = (
    "htos_motor_move_started htos_motor_correct_started htos_operation_update htos_operation_completed "
    "htos_start_operation htos_limit_hit htos_simulating_device htos_note htos_log"
).split()


class HardwareMessages:
    """Stores what hardware servers report, and tells clients."""

    def __init__(self, dcss: Dcss) -> None:
        self._dcss = dcss
        self._own: dict[str, Callable[[str, list[str]], str | None]] = {
            "htos_update_motor_position": self._moves,
            "htos_motor_move_completed": self._moved,
            "htos_configure_device": self._configure,
            "htos_send_configuration": self._send_configuration,
            "htos_report_ion_chambers": self._report_counts,
            "htos_report_shutter_state": self._report_shutter,
            "htos_set_string_completed": self._set_string,
            "htos_get_encoder_completed": self._encoder,
            "htos_set_encoder_completed": self._encoder,
        }

    def take(self, host: str, text: str, binary: bytes) -> None:
        """A message of ``host``; whatever it is, the connection stays."""
        dcss = self._dcss
        dcss.messages.append(("in", host, text))
        if not text:
            return
        dcss.check_buffers(host, text)
        command, _, _ = text.partition(" ")
        words = text.split()[1:]
        if binary:
            if command.startswith("htos_operation_") and len(words) >= 2:
                dcss.binaries.append((words[0], words[1], binary))
            else:
                dcss.violation(f"{host}: {len(binary)} byte behind {command}")
        forwarded = text
        if command in self._own:
            try:
                forwarded = self._own[command](host, words) or text
            except (KeyError, ValueError, IndexError):
                self._ignore(host, text)
                return
        elif command not in FORWARDED:
            self._ignore(host, text)
            return
        if forwarded != NOTHING:
            dcss.broadcast("stog_" + forwarded.removeprefix("htos_"))
        if command == "htos_motor_move_completed":
            self._correct(words[0])

    def _ignore(self, host: str, text: str) -> None:
        log.warning("%s: unrecognized: %s", host, text[:200])
        self._dcss.unrecognized.append(text)

    # Each stores, and gives the text for clients; None: as it came.

    def _moves(self, host: str, words: list[str]) -> None:
        self._motor(words[0]).position = self._finite(host, words[1])

    def _moved(self, host: str, words: list[str]) -> None:
        motor = self._motor(words[0])
        motor.position = self._finite(host, words[1])
        motor.moving = False

    def _correct(self, name: str) -> None:
        motor = self._motor(name)
        if correction := motor.correction():
            motor.position += correction
            self._dcss.to_device(motor, f"stoh_correct_motor_position {name} {correction}")

    def _configure(self, host: str, words: list[str]) -> str:
        motor = self._motor(words[0])
        if not motor.adopt([self._finite(host, word) for word in words[1:]]):
            self._dcss.violation(f"{host}: htos_configure_device {words[0]} with {len(words)} words")
            return NOTHING
        return motor.configuration

    def _send_configuration(self, host: str, words: list[str]) -> str:
        configuration = self._dcss.devices[words[0]].configuration
        if configuration:
            self._dcss.to_host(host, f"stoh_{configuration}")
        return NOTHING

    def _report_counts(self, host: str, words: list[str]) -> None:
        seconds = float(words[0])
        if seconds > 0.0:
            for name, counts in zip(words[1::2], words[2::2], strict=True):
                chamber = self._dcss.devices[name]
                if isinstance(chamber, IonChamber):
                    chamber.counts = self._finite(host, counts)

    def _report_shutter(self, host: str, words: list[str]) -> None:
        shutter = self._dcss.devices[words[0]]
        if not isinstance(shutter, Shutter):
            raise KeyError(words[0])
        if len(words) < 3 or words[2] == "normal":
            shutter.state = "closed" if words[1] == "closed" else "open"

    def _set_string(self, host: str, words: list[str]) -> str:
        string = self._dcss.devices[words[0]]
        if not isinstance(string, DcssString):
            raise KeyError(words[0])
        contents = " ".join(words[2:])
        if len(contents) > MAX_STRING:
            self._dcss.violation(f"{host}: string {words[0]} of {len(contents)} byte is cut at {MAX_STRING}")
            contents = contents[:MAX_STRING]
        if words[1] == "normal":
            string.contents = contents
        return f"htos_set_string_completed {words[0]} {words[1]} {contents}"

    def _encoder(self, host: str, words: list[str]) -> None:
        encoder = self._dcss.devices[words[0]]
        if not isinstance(encoder, Encoder):
            raise KeyError(words[0])
        position = self._finite(host, words[1])
        if len(words) < 3 or words[2] == "normal":
            encoder.position = position

    def _motor(self, name: str) -> Motor:
        motor = self._dcss.devices[name]
        if not isinstance(motor, Motor):
            raise KeyError(name)
        return motor

    def _finite(self, host: str, word: str) -> float:
        value = float(word)
        if not math.isfinite(value):
            self._dcss.violation(f"{host}: {word} is not finite")
            raise ValueError(word)
        return value
