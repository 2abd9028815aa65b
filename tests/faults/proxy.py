"""A piece of network between a device and its instrument, which can die without a word: half-open connections."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Proxy:
    """Carries TCP connections to a port of this machine's loopback.

    Args:
        port: where they go.
        listen: where they come from; port 0 takes a free one.

    While ``is_cut`` nothing passes and nobody is told. What was connected before stays dead for ever, as when the other
    end lost its power: only a new connection reaches it.
    """

    def __init__(self, port: int, listen: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self._to = ("127.0.0.1", port)
        self._listener = socket.create_server(listen)
        self.port = int(self._listener.getsockname()[1])
        self._age = 0  # how often it was cut
        self.is_cut = False
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._listen, name="proxy", daemon=True).start()

    def cut(self) -> None:
        self._age += 1
        self.is_cut = True

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                age = self._age
                self._open.add(near)
                if self.is_cut:
                    continue  # the kernel said hello, and nobody else ever does
                try:
                    far = socket.create_connection(self._to, 5.0)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self._open.add(far)
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target, age), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, age: int) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if age == self._age:
                    target.sendall(data)
        if age == self._age:  # otherwise the end of one side is not heard by the other
            for each in (source, target):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        source.close()
        self._open.discard(source)
