"""The messages of the service."""

from servers.daqdata.daq_data_pb2 import *  # noqa: F403
from servers.daqdata.daq_data_pb2 import DESCRIPTOR

__all__ = [*DESCRIPTOR.message_types_by_name, "DESCRIPTOR"]
