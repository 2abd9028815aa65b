"""The configuration memory of the simulated Archon."""

from __future__ import annotations

MOST_LINES = 16384


class ConfigurationMemory:
    """Numbered lines ``KEY=VALUE``; keys are caseless, values may stand in quotes."""

    def __init__(self) -> None:
        self._lines: dict[int, str] = {}
        self._values: dict[str, str] | None = None

    def clear(self) -> None:
        self._lines.clear()
        self._values = None

    def write(self, number: int, line: str) -> None:
        """Raises: ValueError."""
        if not 0 <= number < MOST_LINES:
            raise ValueError(f"line {number} is outside [0, {MOST_LINES})")
        self._lines[number] = line
        self._values = None

    def read(self, number: int) -> str:
        return self._lines.get(number, "")

    @property
    def values(self) -> dict[str, str]:
        """Key in capitals -> value."""
        if self._values is None:
            self._values = {}
            for number in sorted(self._lines):
                key, _, value = self._lines[number].partition("=")
                self._values[key.strip().upper().replace("\\", "/")] = value.strip().strip('"')
        return self._values

    def text(self, key: str, default: str = "") -> str:
        return self.values.get(key.upper(), default)

    def number(self, key: str, default: float = 0.0) -> float:
        """Raises: ValueError: it is none."""
        return float(self.text(key) or default)

    def integer(self, key: str, default: int = 0) -> int:
        """Raises: ValueError."""
        return int(self.text(key) or default)

    @property
    def parameters(self) -> dict[str, int]:
        """Name in capitals -> value. Raises: ValueError."""
        found = {}
        for index in range(self.integer("PARAMETERS")):
            name, _, value = self.text(f"PARAMETER{index}").partition("=")
            found[name.strip().upper()] = int(value)
        return found

    @property
    def taps(self) -> list[str]:
        """Channels of the tap lines that are in use, ``AD1L``."""
        texts = (self.text(f"TAPLINE{index}") for index in range(self.integer("TAPLINES")))
        return [channel for text in texts if (channel := text.split(",")[0].strip().upper())]
