"""Power, temperatures, voltages of the simulated Archon."""

from __future__ import annotations

import asyncio
import math
import time

import numpy as np

from devices.simulators._ccd.cryostat import Cryostat
from devices.simulators.archon.memory import ConfigurationMemory
from devices.simulators.archon.settings import ArchonSettings, Faults

#: Slot -> type of module: drivers, four video inputs, biases, a heater module.
MODULES = {1: 1, 2: 1, 3: 1, 4: 9, 5: 2, 6: 2, 9: 8, 10: 11, 12: 10}
HEATER_SLOT = 10

#: Supply -> volts, amperes.
SUPPLIES = {
    "P2V5": (2.5, 1.9),
    "P5V": (5.0, 2.9),
    "P6V": (6.0, 1.2),
    "N6V": (-6.0, 0.6),
    "P17V": (17.0, 0.7),
    "N17V": (-17.0, 0.5),
    "P35V": (35.0, 0.05),
    "N35V": (-35.0, 0.02),
    "P100V": (100.0, 0.004),
    "N100V": (-100.0, 0.004),
    "USER": (0.0, 0.0),
    "HEATER": (27.0, 0.6),
}

UNKNOWN, NOT_CONFIGURED, OFF, INTERMEDIATE, ON = range(5)
POWER_S = 0.15
"""The supplies need so long to come up, s."""


class Housekeeping:
    """What STATUS and SYSTEM say."""

    def __init__(self, settings: ArchonSettings, faults: Faults, memory: ConfigurationMemory) -> None:
        self._settings = settings
        self._faults = faults
        self._memory = memory
        self._random = np.random.default_rng(settings.seed + 1)
        self._began = time.monotonic()
        self._switching: asyncio.TimerHandle | None = None
        self.power = NOT_CONFIGURED
        self.polling = True
        self.count = 0
        self.log: list[str] = []
        self.cryostat = Cryostat(settings.cold_c)
        self._target_c = -100.0

    def applied(self) -> None:
        """APPLYALL: the power goes off, the heater follows its configuration."""
        self._switch(OFF, 0.0)
        self.apply_heater()

    def apply_heater(self) -> None:
        """Raises: ValueError."""
        prefix = f"MOD{HEATER_SLOT}/HEATERA"
        self._target_c = self._memory.number(f"{prefix}TARGET", self._target_c)
        self.cryostat.heat(self._target_c if self._memory.integer(f"{prefix}ENABLE") else None)

    def set_power(self, on: bool) -> bool:
        """False: it is not configured."""
        if self.power == NOT_CONFIGURED:
            return False
        if on:
            self._switch(INTERMEDIATE, 0.0)
            if not self._faults.power_bad:
                self._switching = asyncio.get_running_loop().call_later(POWER_S, self._switch, ON, POWER_S)
        else:
            self._switch(OFF, 0.0)
        return True

    def _switch(self, state: int, _after_s: float) -> None:
        if self._switching is not None:
            self._switching.cancel()
            self._switching = None
        if state != self.power:
            self.log.append(f"Power {('unknown', 'not configured', 'off', 'intermediate', 'on')[state]}")
        self.power = state

    def close(self) -> None:
        self._switch(self.power, 0.0)

    @property
    def system(self) -> str:
        """Answer of SYSTEM."""
        present = sum(1 << (slot - 1) for slot in MODULES)
        words = [
            "BACKPLANE_TYPE=1",
            "BACKPLANE_REV=3",
            "BACKPLANE_VERSION=1.0.1252",
            "BACKPLANE_ID=0000000000000D1B",
            "POWER_ID=0000000000000D1C",
            f"MOD_PRESENT={present:04X}",
        ]
        for slot in range(1, 13):
            kind = MODULES.get(slot, 0)
            words += [f"MOD{slot}_TYPE={kind}", f"MOD{slot}_REV={int(kind > 0)}"]
            words += [
                f"MOD{slot}_VERSION={'1.0.1252' if kind else '0.0.0'}",
                f"MOD{slot}_ID={slot * 257 * (kind > 0):016X}",
            ]
        return " ".join(words)

    @property
    def status(self) -> str:
        """Answer of STATUS."""
        if self.polling:
            self.count += 1
        hours = (time.monotonic() - self._began) / 3600
        backplane = (
            (92.0 if self._faults.overheat else 34.0) + 1.5 * math.sin(2 * math.pi * hours / 3) + self._wobble(0.05)
        )
        words = [
            "VALID=1",
            f"COUNT={self.count}",
            f"LOG={len(self.log)}",
            f"POWER={self.power}",
            f"POWERGOOD={int(not self._faults.power_bad)}",
            f"OVERHEAT={int(self._faults.overheat)}",
            f"BACKPLANE_TEMP={backplane:.3f}",
        ]
        for name, (volts, amperes) in SUPPLIES.items():
            on = 1.0 if abs(volts) <= 6.0 or self.power == ON else 0.0
            words.append(f"{name}_V={volts * on * (1 + self._wobble(1e-3)):.3f}")
            words.append(f"{name}_I={amperes * (0.3 + 0.7 * on) * (1 + self._wobble(5e-3)):.3f}")
        words.append("FANTACH=4521")
        words += [f"MOD{slot}/TEMP={backplane + slot / 4 + self._wobble(0.05):.3f}" for slot in MODULES]
        celsius = self.cryostat.celsius
        output = 4.0 if self.cryostat.target_c is not None and celsius > self._settings.cold_c else 0.0
        words += [
            f"MOD{HEATER_SLOT}/TEMPA={celsius + self._wobble(0.01):.3f}",
            f"MOD{HEATER_SLOT}/TEMPB={self._settings.cold_c + self._wobble(0.02):.3f}",
            f"MOD{HEATER_SLOT}/TEMPC={20.0 + self._wobble(0.05):.3f}",
            f"MOD{HEATER_SLOT}/HEATERAOUTPUT={output:.3f}",
        ]
        return " ".join(words)

    def _wobble(self, size: float) -> float:
        return float(self._random.normal(0.0, size))
