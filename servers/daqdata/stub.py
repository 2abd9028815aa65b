"""The calls of the DaqData service, over a channel of grpc or of grpc.aio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.empty_pb2 import Empty
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from servers.daqdata.daq_data_pb2 import InitHpIoRequest, InitHpIoResponse, StreamImagesRequest

SERVICE: Final = "daqdata.DaqData"
REFLECTION: Final = "grpc.reflection.v1alpha.ServerReflection"
STREAM: Final = "[magenta]stream[/magenta] "


@dataclass(frozen=True)
class Call:
    """A call of a channel that says who calls."""

    call: Any
    metadata: tuple[tuple[str, str], ...] | None

    def __call__(self, request: Any, **options: Any) -> Any:
        return self.call(request, metadata=self.metadata, **options)

    def future(self, request: Any, **options: Any) -> Any:
        """Begin the call, in grpc only; in grpc.aio every call is begun so."""
        return self.call.future(request, metadata=self.metadata, **options)


class RawDaqDataStub:
    """The calls by their names; images come and go as bytes: StreamImagesResponse, UploadImageRequest.

    Args:
        channel: of grpc or grpc.aio; calls are what they are there.
        token: for servers that want one.
    """

    def __init__(self, channel: Any, token: str | None = None) -> None:
        metadata = (("authorization", f"Bearer {token}"),) if token else None
        path = f"/{SERVICE}/"
        self.Ping = Call(channel.unary_unary(path + "Ping", Empty.SerializeToString, Empty.FromString), metadata)
        self.InitHpIo = Call(
            channel.unary_unary(path + "InitHpIo", InitHpIoRequest.SerializeToString, InitHpIoResponse.FromString),
            metadata,
        )
        self.StreamImages = Call(
            channel.unary_stream(path + "StreamImages", StreamImagesRequest.SerializeToString), metadata
        )
        self.UploadImages = Call(channel.stream_unary(path + "UploadImages", None, Empty.FromString), metadata)
        self.ServerReflectionInfo = Call(
            channel.stream_stream(
                f"/{REFLECTION}/ServerReflectionInfo",
                ServerReflectionRequest.SerializeToString,
                ServerReflectionResponse.FromString,
            ),
            metadata,
        )


def reflection_requests() -> list[ServerReflectionRequest]:
    """What to ask a server for its services and the calls of ours."""
    return [
        ServerReflectionRequest(list_services=""),
        ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]


def reflection_text(target: str, answers: Iterable[ServerReflectionResponse]) -> str:
    """The answers as text with rich's markup."""
    return "\n".join([f"Reflecting services on {target}:", *_reflection_lines(answers), ""])


def _reflection_lines(answers: Iterable[ServerReflectionResponse]) -> Iterator[str]:
    for answer in answers:
        if answer.HasField("error_response"):
            yield f"\terror: {answer.error_response.error_message}"
        names = [each.name for each in answer.list_services_response.service]
        if names:
            yield f"\tfound services: {names}"
        for raw in answer.file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(raw)
            for service in file.service:
                if f"{file.package}.{service.name}" != SERVICE:
                    continue
                yield f"\tfound [yellow]{service.name}[/yellow] service with name: [yellow]{SERVICE}[/yellow]"
                for each in service.method:
                    argument = STREAM * each.client_streaming + each.input_type.rpartition(".")[2]
                    result = STREAM * each.server_streaming + each.output_type.rpartition(".")[2]
                    yield f"\tfound: rpc {each.name}({argument}) returns ({result})"
