"""An executor on the workers of a Dask scheduler: what is in work when a worker or the scheduler dies is done again."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import logging
import pickle
import platform
import re
import socket
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ConfigurationError, DiptychError

log = logging.getLogger("diptych.dask")

ADDRESS: Final = re.compile(r"(tcp|tls)://[^\s/:]+:\d{1,5}|(tcp|tls)://\[[0-9a-fA-F:]+\]:\d{1,5}")
#: What a folder of TLS files has in it: who is trusted, and who we are.
AUTHORITY, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"
#: Two for each of the most workers that a queue has in work.
MOST_IN_WORK: Final = 128
CONNECT_S: Final = 5.0
LOOK_S: Final = 1.0
#: A worker that will not do is told as long as it was met within this, s.
TOLD_S: Final = 15.0
#: Larger arguments go straight to a worker; smaller ones with the task, through the scheduler, bytes.
SCATTERED_FROM: Final = 1 << 16
#: Whose versions decide what comes out.
COMPARED: Final = ("diptych", "numpy", "scipy", "numba", "distributed")


class UnfitWorkerError(DiptychError):
    """This worker cannot do the work as the device itself would; another one may."""


def scheduler_address(text: str) -> None:
    """Raises BadValueError: neither an address nor empty; or Dask is not installed."""
    if text and not ADDRESS.fullmatch(text):
        raise BadValueError("not the address of a scheduler: tcp://HOST:PORT or tls://HOST:PORT")
    if text and importlib.util.find_spec("distributed") is None:
        raise BadValueError("Dask is not installed here: pip install 'diptych[dask]'")


@dataclass(frozen=True)
class Packed:
    """What travels: Dask moves these bytes, and looks into none.

    Attributes:
        buffers: of the arrays; not copied.
    """

    head: bytes
    buffers: tuple[NDArray[np.uint8], ...]

    def __sizeof__(self) -> int:
        return len(self.head) + sum(each.nbytes for each in self.buffers)


def pack(value: Any) -> Packed:
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return Packed(head, tuple(np.frombuffer(each.raw(), np.uint8) for each in buffers))


def unpack(packed: Packed) -> Any:
    # Of our own workers and of nobody else: who can reach a scheduler runs what they like there, pickle or not.
    return pickle.loads(packed.head, buffers=packed.buffers)  # noqa: S301  # nosec B301


@functools.cache
def versions() -> Mapping[str, str]:
    """What decides results, name -> version; that of Diptych has a digest of the source of its devices."""
    found = {name: importlib.metadata.version(name) for name in COMPARED}
    folder = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    found["diptych"] += f" ({digest.hexdigest()[:8]})"
    return {"python": ".".join(platform.python_version_tuple()[:2]), **found}


def _on_worker(work: Packed, wanted: Mapping[str, str]) -> Packed:
    """Do the work where this runs; what it raises comes back as a value, so that errors of Dask are Dask's only."""
    try:
        differing = [f"{name} {here}, not {wanted[name]}" for name, here in versions().items() if here != wanted[name]]
        if differing:
            raise UnfitWorkerError(f"at {platform.node()}: {', '.join(differing)}")
        function, args, kwargs = unpack(work)
        return pack((function(*args, **kwargs), None))
    except Exception as error:
        error.add_note(f"on a worker at {platform.node()}:\n{traceback.format_exc()}")
        try:
            return pack((None, error))
        except Exception:
            return pack((None, RuntimeError(f"{type(error).__name__}: {error}")))


class DaskExecutor(Executor):
    """Runs work on the workers of a scheduler; arguments and results are pickled, arrays travel without a copy.

    A worker that dies costs time only: Dask, or this, gives its work to another. A scheduler that is not there is
    waited for, and what it had is given to it again: work must not mind to be begun twice. A worker with other versions
    of what decides results (:func:`versions`) does none of it.

    Args:
        scheduler: ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.
        tls: the folder of ``ca.pem``, ``cert.pem`` and ``key.pem``; needed with ``tls://``, and only with it.
        tell: is called with every new ``problem``, in a thread of its own.
    Raises:
        ConfigurationError: Dask is not installed, or the folder does not fit the address.
    """

    def __init__(self, scheduler: str, tls: str = "", tell: Callable[[str], None] = lambda problem: None) -> None:
        problems = []
        try:
            scheduler_address(scheduler)
        except BadValueError as error:
            problems.append(str(error))
        if scheduler.startswith("tls://"):
            missing = [name for name in (AUTHORITY, CERTIFICATE, KEY) if not (tls and (Path(tls) / name).is_file())]
            problems += [f"scheduler_tls = {tls!r}: there is no {', '.join(missing)}"] if missing else []
        elif tls:
            problems.append(f"scheduler_tls = {tls!r} is for tls:// only: {scheduler} would not be encrypted")
        if problems:
            raise ConfigurationError(f"scheduler {scheduler}", problems)
        self.scheduler, self._tls, self._tell = scheduler, tls, tell
        #: Why work does not get on as it should; "" when all is well.
        self.problem = "connecting"
        #: Threads of all workers: so much is done at once.
        self.slots = 0
        self._client: Any = None
        self._loop: Any = None
        self._unfit, self._unfit_until = "", 0.0
        self._closed = threading.Event()
        self._change = threading.Condition()
        self._threads = ThreadPoolExecutor(MOST_IN_WORK, "dask")
        self._keeper = threading.Thread(target=self._keep, name=f"watch of {scheduler}", daemon=True)
        self._keeper.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        outer: Future[Any] = Future()
        self._threads.submit(self._do, outer, fn, args, kwargs)
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Forget what is in work, whatever ``cancel_futures`` says: workers end what they have, for nobody."""
        self._closed.set()
        with self._change:
            self._change.notify_all()
        self._threads.shutdown(wait)
        if wait:
            self._keeper.join()

    # Work ---------------------------------------------------------------------------------------------------------

    def _do(self, outer: Future[Any], function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Have the work done, however often that takes, and tell once how it ended."""
        result: Any = None
        error: Exception | None = None
        try:
            work = pack((function, args, kwargs))
            result, error = self._done(outer, work, getattr(function, "__name__", "work"))
        except CancelledError:  # by its client, or with the executor
            outer.cancel()
        except Exception as failure:
            error = failure
        if not outer.set_running_or_notify_cancel():
            return
        if error is None:
            outer.set_result(result)
        else:
            outer.set_exception(error)

    def _done(self, outer: Future[Any], work: Packed, name: str) -> tuple[Any, Exception | None]:
        while not self._closed.is_set() and not outer.cancelled():
            client = self._present()
            if client is None:
                continue
            from distributed.scheduler import KilledWorker  # not before there is a client: imported by one thread only

            try:
                outcome = self._once(outer, client, work, name)
            except KilledWorker as killed:
                raise BrokenExecutor(f"{self.scheduler}: workers died with it: {killed}") from killed
            except (CancelledError, OSError) as lost:  # a connection, or the worker that had the arguments
                log.info("%s: %s is given out again: %s", self.scheduler, name, lost or type(lost).__name__)
                self._closed.wait(0.1)
                continue
            except Exception as failed:  # a worker that does not even know Diptych, or Dask itself
                self._complain(f"work did not come back: {type(failed).__name__}: {failed}")
                continue
            result, error = unpack(outcome)
            if not isinstance(error, UnfitWorkerError):
                return result, error
            self._complain(f"a worker will not do: {error}")
        raise CancelledError

    def _once(self, outer: Future[Any], client: Any, work: Packed, name: str) -> Packed:
        """What came of the work, as :func:`_on_worker` has it; raises what Dask raises."""
        given: Any = work
        if work.__sizeof__() >= SCATTERED_FROM:
            [given] = client.scatter([work], direct=True, hash=False)
        key = f"diptych-{name}-{uuid.uuid4().hex}"
        future = client.submit(_on_worker, given, dict(versions()), key=key, pure=False)
        while True:
            try:
                return future.result(timeout=LOOK_S)  # type: ignore[no-any-return]
            except TimeoutError:
                if client is not self._client or outer.cancelled() or self._closed.is_set():
                    future.cancel()
                    raise CancelledError(f"{self.scheduler} is not there") from None

    def _complain(self, problem: str) -> None:
        """Say it with the next look, and wait before the work is given out again."""
        self._unfit, self._unfit_until = problem, time.monotonic() + TOLD_S
        self._closed.wait(LOOK_S)

    def _present(self) -> Any:
        """The client while the scheduler is there; None after a while without."""
        with self._change:
            if self._client is None or not self.slots:
                self._change.wait(LOOK_S)
            return self._client if self.slots else None

    # The scheduler ------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Be connected, and know how it stands."""
        while not self._closed.is_set():
            try:
                if self._client is None:
                    self._adopt(self._connected())
                if self._client.status == "running":
                    slots = sum(self._client.sync(self._client.scheduler.ncores, callback_timeout=CONNECT_S).values())
                    self._stands(slots, "" if slots else f"{self.scheduler} has no workers")
                elif self._client.status == "connecting":  # it tries by itself for CONNECT_S
                    self._stands(0, f"{self.scheduler} is not there: the connection is lost")
                else:
                    self._drop()
                    continue
            except Exception as error:  # whatever Dask and its libraries raise: it is told, and tried again
                self._stands(0, f"{self.scheduler} is not there: {error or type(error).__name__}")
                self._drop()
            self._closed.wait(LOOK_S)
        self._drop()
        if self._loop is not None:
            self._loop.stop()

    def _connected(self) -> Any:
        from distributed import Client, Security
        from distributed.utils import LoopRunner

        host, _, port = self.scheduler.partition("://")[2].rpartition(":")
        # Dask says only after its time that nobody is there, and not why.
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        if self._loop is None:  # one for all clients: one that fails to connect would leave its own running
            self._loop = LoopRunner(asynchronous=False)
            self._loop.start()
        security = None
        if self._tls:
            folder = Path(self._tls)
            security = Security(
                tls_ca_file=str(folder / AUTHORITY),
                tls_client_cert=str(folder / CERTIFICATE),
                tls_client_key=str(folder / KEY),
                require_encryption=True,
            )
        return Client(
            self.scheduler, self._loop.loop, CONNECT_S, set_as_default=False, security=security, name="diptych"
        )

    def _adopt(self, client: Any) -> None:
        with self._change:
            self._client = client

    def _drop(self) -> None:
        client = self._client
        self._adopt(None)
        if client is not None:
            try:
                client.close(timeout=LOOK_S)
            except Exception as error:  # it was broken already
                log.info("%s: %s", self.scheduler, error or type(error).__name__)

    def _stands(self, slots: int, problem: str) -> None:
        if not problem and time.monotonic() < self._unfit_until:
            problem = f"{self.scheduler}: {self._unfit}"
        with self._change:
            self.slots = slots
            self._change.notify_all()
        if problem != self.problem:
            (log.error if problem else log.info)("%s", problem or f"{self.scheduler}: {slots} threads of workers")
            self.problem = problem
            self._tell(problem)
