import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PanoImage(_message.Message):
    __slots__ = ("type", "header", "image_array", "shape", "bytes_per_pixel", "file", "frame_number", "module_id")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNDEFINED: _ClassVar[PanoImage.Type]
        PULSE_HEIGHT: _ClassVar[PanoImage.Type]
        MOVIE: _ClassVar[PanoImage.Type]
    UNDEFINED: PanoImage.Type
    PULSE_HEIGHT: PanoImage.Type
    MOVIE: PanoImage.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ARRAY_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_PIXEL_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    FRAME_NUMBER_FIELD_NUMBER: _ClassVar[int]
    MODULE_ID_FIELD_NUMBER: _ClassVar[int]
    type: PanoImage.Type
    header: _struct_pb2.Struct
    image_array: _containers.RepeatedScalarFieldContainer[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    bytes_per_pixel: int
    file: str
    frame_number: int
    module_id: int
    def __init__(self, type: _Optional[_Union[PanoImage.Type, str]] = ..., header: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., image_array: _Optional[_Iterable[int]] = ..., shape: _Optional[_Iterable[int]] = ..., bytes_per_pixel: _Optional[int] = ..., file: _Optional[str] = ..., frame_number: _Optional[int] = ..., module_id: _Optional[int] = ...) -> None: ...

class StreamImagesResponse(_message.Message):
    __slots__ = ("name", "timestamp", "message", "pano_image")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PANO_IMAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    timestamp: _timestamp_pb2.Timestamp
    message: str
    pano_image: PanoImage
    def __init__(self, name: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., message: _Optional[str] = ..., pano_image: _Optional[_Union[PanoImage, _Mapping]] = ...) -> None: ...

class StreamImagesRequest(_message.Message):
    __slots__ = ("stream_movie_data", "stream_pulse_height_data", "update_interval_seconds", "module_ids")
    STREAM_MOVIE_DATA_FIELD_NUMBER: _ClassVar[int]
    STREAM_PULSE_HEIGHT_DATA_FIELD_NUMBER: _ClassVar[int]
    UPDATE_INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MODULE_IDS_FIELD_NUMBER: _ClassVar[int]
    stream_movie_data: bool
    stream_pulse_height_data: bool
    update_interval_seconds: float
    module_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, stream_movie_data: _Optional[bool] = ..., stream_pulse_height_data: _Optional[bool] = ..., update_interval_seconds: _Optional[float] = ..., module_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class StreamHashpipeStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StreamHashpipeStatusResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetConfigurationRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetConfigurationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InitHpIoRequest(_message.Message):
    __slots__ = ("data_dir", "update_interval_seconds", "force", "simulate_daq", "module_ids")
    DATA_DIR_FIELD_NUMBER: _ClassVar[int]
    UPDATE_INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    SIMULATE_DAQ_FIELD_NUMBER: _ClassVar[int]
    MODULE_IDS_FIELD_NUMBER: _ClassVar[int]
    data_dir: str
    update_interval_seconds: float
    force: bool
    simulate_daq: bool
    module_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, data_dir: _Optional[str] = ..., update_interval_seconds: _Optional[float] = ..., force: _Optional[bool] = ..., simulate_daq: _Optional[bool] = ..., module_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class InitHpIoResponse(_message.Message):
    __slots__ = ("success", "error_message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error_message: str
    def __init__(self, success: _Optional[bool] = ..., error_message: _Optional[str] = ...) -> None: ...

class UploadImageRequest(_message.Message):
    __slots__ = ("pano_image",)
    PANO_IMAGE_FIELD_NUMBER: _ClassVar[int]
    pano_image: PanoImage
    def __init__(self, pano_image: _Optional[_Union[PanoImage, _Mapping]] = ...) -> None: ...
