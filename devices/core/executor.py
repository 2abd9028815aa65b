"""Where pipelines run: a thread, a process pool with shared memory, or an executor that a property names."""

from __future__ import annotations

import contextlib
import copy
import importlib
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, is_dataclass
from multiprocessing.connection import wait
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from devices.core.errors import BadValueError, ConfigurationError

#: Smaller arrays are copied through the pipe: a shared block costs about as much as 64 KiB of pipe, bytes.
SHARED_FROM = 65536


@dataclass(frozen=True)
class SharedArray:
    """An array in a named block of shared memory: what travels through the pipe instead of its bytes."""

    block: str
    shape: tuple[int, ...]
    dtype: str


def share(value: Any, blocks: list[SharedMemory]) -> Any:
    """Replace large arrays in ``value`` (also within tuples, lists, dicts and dataclasses) by shared blocks."""
    # A masked array or named columns are more than bytes of one type: they go through the pipe.
    plain = type(value) in (np.ndarray, np.memmap) and not value.dtype.hasobject and value.dtype.names is None
    if plain and value.nbytes >= SHARED_FROM:
        block = SharedMemory(create=True, size=value.nbytes)
        blocks.append(block)
        np.ndarray(value.shape, value.dtype, buffer=block.buf)[...] = value
        return SharedArray(block.name, value.shape, value.dtype.str)
    return _mapped(value, lambda item: share(item, blocks))


def attach(value: Any, blocks: list[SharedMemory]) -> Any:
    """Replace shared blocks in ``value`` by read-only arrays on them; valid while ``blocks`` are open."""
    if isinstance(value, SharedArray):
        block = SharedMemory(value.block)
        blocks.append(block)
        assert block.buf is not None
        # ``numpy.ndarray(buffer=...)`` would not keep the block from being closed: a view of it crashes the process.
        array = np.frombuffer(block.buf, np.dtype(value.dtype), math.prod(value.shape)).reshape(value.shape)
        array.flags.writeable = False
        return array
    return _mapped(value, lambda item: attach(item, blocks))


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(change(item) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(change(item) for item in value)
    if isinstance(value, dict):
        return {key: change(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        changed = copy.copy(value)
        for each in fields(value):
            # Not by its constructor, which may look into the arrays; and a frozen one is still ours to fill.
            object.__setattr__(changed, each.name, change(getattr(value, each.name)))
        return changed
    return value


def _in_worker(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Run in the worker: attach the arguments, share the result; the parent unlinks both."""
    made: list[SharedMemory] = []
    _close_opened()
    try:
        args, kwargs = attach((args, kwargs), _opened)
        return share(function(*args, **kwargs), made)
    except BaseException:
        for block in made:
            block.unlink()
        raise
    finally:
        del args, kwargs
        for block in made:
            block.close()
        _close_opened()


#: Blocks of arguments that the worker has open, also those of earlier calls that something still looks into.
_opened: list[SharedMemory] = []


def _close_opened() -> None:
    """Close the blocks that nobody looks into; a traceback lets go soon, a cached view may stay (its memory, too)."""
    for block in tuple(_opened):
        try:
            block.close()
        except BufferError:
            continue
        _opened.remove(block)


def end_with_parent() -> None:
    """A worker must not outlive its server, even one that was killed: it watches the parent's sentinel."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Workers that are started meanwhile never see Ctrl-C, which a terminal sends them, too: their parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class SharedProcessPool(Executor):
    """A process pool to which large arrays travel by shared memory, one copy each way and no pickle of their bytes.

    A worker that dies takes the work of the pool with it (BrokenProcessPool); the next work gets new workers. Blocks of
    a result that it had just made stay until this process ends.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        # "spawn": a fork of a process with CORBA and event threads would copy their locks in any state.
        return ProcessPoolExecutor(
            self._workers, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        blocks: list[SharedMemory] = []
        try:
            shared = share((args, kwargs), blocks)
            with interrupts_held():
                try:
                    inner = self._pool.submit(_in_worker, fn, *shared)
                except BrokenProcessPool:
                    self._pool = self._new_pool()
                    inner = self._pool.submit(_in_worker, fn, *shared)
        except BaseException:
            _release(blocks)
            raise
        outer: Future[Any] = Future()

        def finish(done: Future[Any]) -> None:
            _release(blocks)
            if done.cancelled():
                outer.cancel()
                outer.set_running_or_notify_cancel()
                return
            result, error = None, done.exception()
            if error is None:
                try:
                    result = _take(done.result())
                except Exception as failure:
                    error = failure
            if not outer.set_running_or_notify_cancel():
                return
            if error is not None:
                outer.set_exception(error)
            else:
                outer.set_result(result)

        outer.add_done_callback(lambda done: inner.cancel() if done.cancelled() else None)
        inner.add_done_callback(finish)
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def _take(result: Any) -> Any:
    """Copy a worker's result out of shared memory and unlink the blocks."""
    blocks: list[SharedMemory] = []
    try:
        attached = attach(result, blocks)
        copied = _copied(attached) if blocks else attached
        del attached
        return copied
    finally:
        _release(blocks)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else _mapped(value, _copied)


def _release(blocks: list[SharedMemory]) -> None:
    for block in blocks:
        # The name first: a view that a traceback still holds delays the end of the mapping, never that of the name.
        with contextlib.suppress(FileNotFoundError):
            block.unlink()
        with contextlib.suppress(BufferError):
            block.close()
    blocks.clear()


def executor_factory(text: str, name: str = "pipeline") -> Callable[[], Executor]:
    """What makes the executor of this name; nothing is started yet.

    Raises:
        BadValueError: it is neither ``thread``, ``thread:N``, ``process``, ``process:N`` nor an importable
            ``module:factory``.
    """
    kind, _, rest = text.partition(":")
    if kind in ("thread", "process") and (not rest or rest.isdigit()):
        workers = int(rest or 1)
        if not 1 <= workers <= 1024:
            raise BadValueError(f"{text}: 1 to 1024 workers")
        if kind == "thread":
            return lambda: ThreadPoolExecutor(workers, thread_name_prefix=name)
        return lambda: SharedProcessPool(workers)
    try:
        factory = getattr(importlib.import_module(kind), rest)
    except Exception as error:  # a module at import can raise anything
        raise BadValueError(f"{text!r} is neither thread, process nor module:factory ({error})") from error
    if not callable(factory):
        raise BadValueError(f"{text!r} is a {type(factory).__name__}, which makes nothing")
    return factory  # type: ignore[no-any-return]


def make_executor(text: str, name: str = "pipeline") -> Executor:
    """The executor that a property names: ``thread``, ``thread:N``, ``process``, ``process:N`` or ``module:factory``.

    Raises:
        ConfigurationError: there is no such thing.
    """
    try:
        executor = executor_factory(text, name)()
    except (BadValueError, TypeError, ValueError) as error:
        raise ConfigurationError("executor", [str(error)]) from error
    if not callable(getattr(executor, "submit", None)):
        raise ConfigurationError("executor", [f"{text!r} gives a {type(executor).__name__}, which has no submit()"])
    return executor
