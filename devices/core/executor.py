"""Where pipelines run: a thread, a process pool with shared memory, or an executor that a property names."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, fields, is_dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from devices.core.errors import ConfigurationError

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
    if isinstance(value, np.ndarray) and value.nbytes >= SHARED_FROM and not value.dtype.hasobject:
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
        array: np.ndarray[Any, Any] = np.ndarray(value.shape, np.dtype(value.dtype), buffer=block.buf)
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
        changed = {f.name: change(getattr(value, f.name)) for f in fields(value) if f.init}
        if any(changed[name] is not getattr(value, name) for name in changed):
            return replace(value, **changed)
    return value


def _in_worker(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Run in the worker: attach the arguments, share the result; the parent unlinks both."""
    opened: list[SharedMemory] = []
    made: list[SharedMemory] = []
    args, kwargs = attach((args, kwargs), opened)
    try:
        return share(function(*args, **kwargs), made)
    finally:
        del args, kwargs
        for block in made:
            block.close()
        for block in opened:
            # A pipeline may keep a view (a cached mask) and so the mapping; the parent unlinks the block itself.
            try:
                block.close()
            except BufferError:
                _kept.append(block)


_kept: list[SharedMemory] = []


def _end_with_parent() -> None:
    """A worker must not outlive its server, even one that was killed: it watches the parent's sentinel."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


class SharedProcessPool(Executor):
    """A process pool to which large arrays travel by shared memory, one copy each way and no pickle of their bytes."""

    def __init__(self, workers: int) -> None:
        # "spawn": a fork of a process with CORBA and event threads would copy their locks in any state.
        self._pool = ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        blocks: list[SharedMemory] = []
        shared_args, shared_kwargs = share((args, kwargs), blocks)
        try:
            inner = self._pool.submit(_in_worker, fn, shared_args, shared_kwargs)
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
            error = done.exception()
            result = None if error is not None else _take(done.result())
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
    attached = attach(result, blocks)
    copied = _copied(attached) if blocks else attached
    del attached
    _release(blocks)
    return copied


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else _mapped(value, _copied)


def _release(blocks: list[SharedMemory]) -> None:
    for block in blocks:
        block.close()
        block.unlink()
    blocks.clear()


def make_executor(text: str, name: str = "pipeline") -> Executor:
    """The executor that a property names: ``thread``, ``thread:N``, ``process``, ``process:N`` or ``module:factory``.

    Raises:
        ConfigurationError: there is no such thing.
    """
    kind, _, rest = text.partition(":")
    if kind in ("thread", "process") and (not rest or rest.isdigit()):
        workers = int(rest or 1)
        if not 1 <= workers <= 1024:
            raise ConfigurationError("executor", [f"{text}: 1 to 1024 workers"])
        if kind == "thread":
            return ThreadPoolExecutor(workers, thread_name_prefix=name)
        return SharedProcessPool(workers)
    try:
        executor = getattr(importlib.import_module(kind), rest)()
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            "executor", [f"{text!r} is neither thread, process nor module:factory ({error})"]
        ) from error
    if not callable(getattr(executor, "submit", None)):
        raise ConfigurationError("executor", [f"{text!r} gives a {type(executor).__name__}, which has no submit()"])
    return executor  # type: ignore[no-any-return]
