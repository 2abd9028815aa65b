"""Stub and servicer of the service, under the names that protoc's plug-in for grpc gives them."""

import grpc
from google.protobuf.empty_pb2 import Empty

from servers.daqdata import daq_data_pb2 as pb

SERVICE = "daqdata.DaqData"
#: Kind, request and response of each call.
CALLS = {
    "StreamImages": ("unary_stream", pb.StreamImagesRequest, pb.StreamImagesResponse),
    "InitHpIo": ("unary_unary", pb.InitHpIoRequest, pb.InitHpIoResponse),
    "Ping": ("unary_unary", Empty, Empty),
    "UploadImages": ("stream_unary", pb.UploadImageRequest, Empty),
}


class DaqDataStub:
    """The calls by their names, over a channel of grpc or grpc.aio."""

    def __init__(self, channel):
        for name, (kind, request, response) in CALLS.items():
            path = f"/{SERVICE}/{name}"
            setattr(self, name, getattr(channel, kind)(path, request.SerializeToString, response.FromString))


class DaqDataServicer:
    """What a server implements."""

    def StreamImages(self, request, context):
        _unimplemented(context)

    def InitHpIo(self, request, context):
        _unimplemented(context)

    def Ping(self, request, context):
        _unimplemented(context)

    def UploadImages(self, request_iterator, context):
        _unimplemented(context)


def add_DaqDataServicer_to_server(servicer, server):
    """Have a server answer by a servicer."""
    handlers = {
        name: getattr(grpc, f"{kind}_rpc_method_handler")(
            getattr(servicer, name), request.FromString, response.SerializeToString
        )
        for name, (kind, request, response) in CALLS.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def _unimplemented(context):
    context.set_code(grpc.StatusCode.UNIMPLEMENTED)
    context.set_details("Method not implemented!")
    raise NotImplementedError("Method not implemented!")
