"""The DaqData service over gRPC: streams of frames, uploads, and the choice of their sources."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
from google.protobuf.empty_pb2 import Empty
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from devices.core.client import asked_by
from devices.core.errors import (
    AbortedError,
    BadValueError,
    BusyError,
    ConfigurationError,
    DiptychError,
    NotAllowedError,
    NotConnectedError,
    ProtocolError,
    RangeError,
    reason,
)
from devices.daq.hub import Reader, Wanted
from devices.daq.node import Acquisition, ConfiguringError, Node, StalledError
from servers.daqdata import daq_data_pb2 as pb
from servers.daqdata.wire import decode_upload, encode_response, with_message

log = logging.getLogger(__name__)

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

SERVICE: Final = "daqdata.DaqData"
MAX_MESSAGE_BYTES: Final = 4 << 20
CODES: Final[tuple[tuple[type[DiptychError], grpc.StatusCode], ...]] = (
    (ConfiguringError, grpc.StatusCode.UNAVAILABLE),
    (StalledError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (BusyError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (RangeError, grpc.StatusCode.INVALID_ARGUMENT),
    (BadValueError, grpc.StatusCode.INVALID_ARGUMENT),
    (ProtocolError, grpc.StatusCode.INVALID_ARGUMENT),
    (NotAllowedError, grpc.StatusCode.FAILED_PRECONDITION),
    (AbortedError, grpc.StatusCode.CANCELLED),
)


@dataclass(frozen=True)
class ServiceSettings:
    """How the service is reached.

    Attributes:
        listen: HOST:PORT and ``unix:///PATH``; TLS is for the former only.
        name: what responses say they come from.
        certificate, key: PEM; with both, TLS.
        client_authority: PEM; clients need a certificate of it.
        token: what clients say in their ``authorization`` metadata, as ``Bearer TOKEN``; empty: nothing.
        grace_s: how long running calls may take at the end, s.
        demand: raises NotAllowedError when another client has reserved the node.
    """

    listen: tuple[str, ...]
    name: str = ""
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    client_authority: bytes = b""
    token: str = field(default="", repr=False)
    grace_s: float = 0.5
    demand: Callable[[str], None] = lambda what: None


class DaqDataService:
    """Serves a node to gRPC clients, in the loop that it was started in."""

    def __init__(self, node: Node, settings: ServiceSettings) -> None:
        self._node, self._settings = node, settings
        self._server: grpc.aio.Server | None = None
        self._health = health.aio.HealthServicer()
        #: Where it listens once it was started.
        self.ports: dict[str, int] = {}

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: an address is taken, or is none of this host.
        """
        interceptors = (_TokenCheck(self._settings.token),) if self._settings.token else ()
        options = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ]
        server = grpc.aio.server(interceptors=interceptors, options=options)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        for address in self._settings.listen:
            try:
                port = self._add_port(server, address)
            except RuntimeError as error:
                port = 0
                log.debug("%s: %s", address, error)
            if not port:
                raise ConfigurationError("daqdata", [f"cannot listen on {address}: it is taken, or none of this host"])
            self.ports[address] = port
        await server.start()
        self._server = server
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        log.info("DaqData listens on %s", ", ".join(self._settings.listen))

    async def stop(self) -> None:
        """Listen no more; streams end with CANCELLED."""
        server, self._server = self._server, None
        if server is None:
            return
        await self._health.enter_graceful_shutdown()
        await self._node.stop()
        await server.stop(self._settings.grace_s)
        self._node.is_stopping = False

    def _add_port(self, server: grpc.aio.Server, address: str) -> int:
        given = self._settings
        if not given.certificate or address.startswith("unix:"):
            return int(server.add_insecure_port(address))
        authority = given.client_authority or None
        credentials = grpc.ssl_server_credentials(
            [(given.key, given.certificate)], authority, require_client_auth=authority is not None
        )
        return int(server.add_secure_port(address, credentials))

    def _handlers(self) -> dict[str, Any]:
        return {
            "StreamImages": grpc.unary_stream_rpc_method_handler(
                self._stream, request_deserializer=pb.StreamImagesRequest.FromString
            ),
            "InitHpIo": grpc.unary_unary_rpc_method_handler(
                self._initialise,
                request_deserializer=pb.InitHpIoRequest.FromString,
                response_serializer=pb.InitHpIoResponse.SerializeToString,
            ),
            "Ping": grpc.unary_unary_rpc_method_handler(
                self._ping, request_deserializer=Empty.FromString, response_serializer=Empty.SerializeToString
            ),
            "UploadImages": grpc.stream_unary_rpc_method_handler(
                self._upload, response_serializer=Empty.SerializeToString
            ),
        }

    # The calls ----------------------------------------------------------------------------------------------------

    async def _ping(self, request: Empty, context: Context) -> Empty:
        return Empty()

    async def _initialise(self, request: pb.InitHpIoRequest, context: Context) -> pb.InitHpIoResponse:
        wanted = Acquisition(
            request.data_dir,
            request.update_interval_seconds,
            frozenset(request.module_ids),
            request.simulate_daq,
        )
        try:
            with asked_by(f"daqdata {context.peer().rpartition(':')[0]}"):
                self._settings.demand("InitHpIo")
                await self._node.initialise(wanted, force=request.force)
        except NotConnectedError as error:
            log.error("InitHpIo of %s: %s", context.peer(), error)
            return pb.InitHpIoResponse(success=False, error_message=str(error))
        except DiptychError as error:
            await _abort(context, error)
        log.info("InitHpIo of %s: %s", context.peer(), wanted)
        return pb.InitHpIoResponse(success=True)

    async def _stream(self, request: pb.StreamImagesRequest, context: Context) -> None:
        wanted = Wanted(
            request.stream_movie_data,
            request.stream_pulse_height_data,
            frozenset(request.module_ids),
            request.update_interval_seconds,
        )
        try:
            reader = self._node.admit(wanted, context.peer())
            async with self._node.streaming(reader):
                await self._send_all(reader, context)
        except DiptychError as error:
            await _abort(context, error)

    async def _send_all(self, reader: Reader, context: Context) -> None:
        told = 0
        while True:
            for frame in await reader.take():
                response = encode_response(frame, self._settings.name)
                if reader.dropped != told:
                    told = reader.dropped
                    response = with_message(response, f"{told} frames were dropped: this client is too slow")
                reader.sending_since = time.monotonic()
                await context.write(response)
                reader.sending_since = None
                reader.sent_one(frame)

    async def _upload(self, requests: AsyncIterator[bytes], context: Context) -> Empty:
        number = 0
        try:
            async with self._node.uploading():
                async for request in requests:
                    frame = decode_upload(request, number)
                    if frame is not None:
                        self._node.publish(frame)
                        number += 1
        except DiptychError as error:
            await _abort(context, error)
        return Empty()


class _TokenCheck(grpc.aio.ServerInterceptor):
    """Refuses calls without the token."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}"

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        given = dict(details.invocation_metadata).get("authorization", "")
        handler = await continuation(details)
        if hmac.compare_digest(str(given).encode(), self._expected.encode()) or handler is None:
            return handler
        return _refusing(handler)


def _refusing(handler: Any) -> Any:
    """A handler of the same kind that refuses."""

    async def refuse(request: Any, context: Context) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "authorization: Bearer TOKEN is missing or wrong")

    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    return make(refuse, handler.request_deserializer, handler.response_serializer)


async def _abort(context: Context, error: DiptychError) -> None:
    code = next((code for kind, code in CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
    text = str(error) if code is not grpc.StatusCode.INTERNAL else f"{reason(error)}: {error}"
    await context.abort(code, text)
