"""Events of large arrays are copied into ZeroMQ, so that no push waits for a client.

cppTango (9 to 10.3) lends arrays of 2048 and more elements to ZeroMQ and waits, with the device's monitor and Python's
interpreter lock held, until ZeroMQ gives them back. When one of several subscribers goes away at the wrong moment
ZeroMQ never does, and the server stands still for ever: measured with a plain PyTango server, in every second try with
three subscribers at 1000 images/s. One copy (1 ms for 8 MB) ends that: the call by which libtango lends a buffer,
``zmq_msg_init_data``, is redirected, in this process only, to one that copies it and gives it back at once.

Rejected: a watchdog thread (the interpreter lock is held), arrays as DevEncoded (another type for clients), no events
for arrays.

Source: System V ABI, "Dynamic Linking" (the procedure linkage table); ZeroMQ reference, zmq_msg_init_data(3).
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import struct
from collections.abc import Iterator
from typing import Any

log = logging.getLogger("diptych.events")

SYMBOL = b"zmq_msg_init_data"
_DYNAMIC = 2
_STRTAB, _SYMTAB, _RELA, _RELASZ, _JMPREL, _PLTRELSZ = 5, 6, 7, 8, 23, 2
_ENTRY = 24

_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_INIT_DATA = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p
)
#: What C code points at must outlive it.
_kept: list[Any] = []


def copy_large_events() -> bool:
    """Let libtango copy large arrays into ZeroMQ instead of lending them; once per process.

    Returns whether it could be done; where it could not (another system or a libtango built otherwise), everything
    works as cppTango has it.
    """
    if _kept:
        return True
    try:
        libraries = _libraries()
        zmq = ctypes.CDLL(libraries["libzmq"][0])
        slots = list(_slots(libraries["libtango"][1]))
        if not slots:
            raise LookupError(f"libtango does not call {SYMBOL.decode()}")
        copying = _INIT_DATA(_copier(zmq))
        address = ctypes.cast(copying, ctypes.c_void_p).value
        for slot in slots:
            _write(slot, address or 0)
        _kept.extend((copying, zmq))
    except (OSError, KeyError, LookupError, AttributeError) as error:
        log.warning("large events are lent to ZeroMQ, not copied (%s): clients that vanish can stop the server", error)
        return False
    return True


def _copier(zmq: ctypes.CDLL) -> Any:
    zmq.zmq_msg_init_size.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    zmq.zmq_msg_data.argtypes = [ctypes.c_void_p]
    zmq.zmq_msg_data.restype = ctypes.c_void_p

    def init_data(message: int, data: int, size: int, free: int | None, hint: int | None) -> int:
        result: int = zmq.zmq_msg_init_size(message, size)
        if result == 0:
            if size:
                ctypes.memmove(zmq.zmq_msg_data(message), data, size)
            if free:
                _FREE(free)(data, hint)
        return result

    return init_data


def _libraries() -> dict[str, tuple[str, int]]:
    """The shared libraries of this process that matter here: name -> (path, base address)."""
    found: dict[str, tuple[str, int]] = {}
    with open("/proc/self/maps") as maps:
        for line in maps:
            words = line.split()
            if len(words) < 6 or words[2] != "00000000":
                continue
            for name in ("libtango", "libzmq"):
                if words[5].rpartition("/")[2].startswith(name):
                    found.setdefault(name, (words[5], int(words[0].partition("-")[0], 16)))
    return found


def _slots(base: int) -> Iterator[int]:
    """The addresses at which a loaded ELF-64 library keeps its pointer to the symbol."""
    header = ctypes.string_at(base, 64)
    if header[:5] != b"\x7fELF\x02":
        raise LookupError("not an ELF-64 library")
    (offset,) = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    segments = ctypes.string_at(base + offset, size * count)
    dynamic = next(
        struct.unpack_from("<Q", segments, index * size + 16)[0]
        for index in range(count)
        if struct.unpack_from("<I", segments, index * size)[0] == _DYNAMIC
    )
    tags = dict(_tags(base + dynamic))
    for table, length in ((tags.get(_JMPREL), tags.get(_PLTRELSZ)), (tags.get(_RELA), tags.get(_RELASZ))):
        if not table or not length:
            continue
        for where, info, _ in struct.iter_unpack("<QQq", ctypes.string_at(table, length // _ENTRY * _ENTRY)):
            symbol = info >> 32
            if symbol:
                (name,) = struct.unpack("<I", ctypes.string_at(tags[_SYMTAB] + symbol * _ENTRY, 4))
                if ctypes.string_at(tags[_STRTAB] + name, len(SYMBOL) + 1) == SYMBOL + b"\0":
                    yield base + where


def _tags(address: int) -> Iterator[tuple[int, int]]:
    while True:
        tag, value = struct.unpack("<qQ", ctypes.string_at(address, 16))
        if tag == 0:
            return
        yield tag, value
        address += 16


def _write(slot: int, address: int) -> None:
    """Write a pointer, into a page that the loader may have made read-only."""
    page = slot - slot % mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if libc.mprotect(page, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    ctypes.c_void_p.from_address(slot).value = address
