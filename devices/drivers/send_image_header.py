"""The header of azcam's sendimage: 256 ASCII characters ahead of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from devices.core.errors import BadValueError, ProtocolError

DEFAULT_PORT: Final = 6543
HEADER_BYTES: Final = 256
REPLY_BYTES: Final = 16
#: azcam's numbers of file types.
FILE_TYPES: Final = {"FITS": 0, "MEF": 1, "BIN": 2, "ASM": 6}


@dataclass(frozen=True)
class SendImageHeader:
    """What precedes a file.

    Attributes:
        size_bytes: of the file; -1 asks a receiver to end.
        name: of the file at the receiver.
        overwrite: a file of this name is replaced (a ``!`` before the name).
        file_type: azcam's number, see `FILE_TYPES`.
        columns, rows: of the whole image, pixels.
        display: the receiver is to show it.
    """

    size_bytes: int
    name: str
    overwrite: bool = False
    file_type: int = 1
    columns: int = 0
    rows: int = 0
    display: bool = False

    def encode(self) -> bytes:
        """The 256 bytes.

        Raises:
            BadValueError: a name that is empty, too long, or has blanks or characters other than ASCII.
        """
        if not self.name or not self.name.isascii() or not self.name.isprintable() or " " in self.name:
            raise BadValueError(f"a name for the receiver = {self.name!r} has to be of ASCII characters without blanks")
        name = ("!" if self.overwrite else "") + self.name
        text = f"{self.size_bytes:16d} {name} {self.file_type} {self.columns} {self.rows} {int(self.display)}"
        if len(text) > HEADER_BYTES:
            raise BadValueError(f"a name for the receiver has {len(self.name)} characters, too many for its header")
        return text.ljust(HEADER_BYTES).encode("ascii")

    @classmethod
    def decode(cls, content: bytes) -> SendImageHeader:
        """The header in 256 bytes; what follows the name may be missing.

        Raises:
            ProtocolError: it is none.
        """
        try:
            words = content.decode("ascii").rstrip("\0").split()
            numbers = [int(word) for word in (words[0], *words[2:6])]
            name = words[1] if len(words) > 1 else ""
        except (ValueError, IndexError):
            raise ProtocolError(f"{content[:64]!r} is no header of an image") from None
        size, file_type, columns, rows, display = (*numbers, *(1, 0, 0, 0)[len(numbers) - 1 :])
        return cls(size, name.removeprefix("!"), name.startswith("!"), file_type, columns, rows, bool(display))
