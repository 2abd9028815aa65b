"""Images of messages as dictionaries."""

from servers.daqdata.daq_data_pb2 import PanoImage, StreamImagesResponse
from servers.daqdata.decode import image_dictionary as parse_pano_image

__all__ = ["PanoImage", "format_stream_images_response", "parse_pano_image"]


def format_stream_images_response(stream_images_response: StreamImagesResponse) -> str:
    """One line about an image."""
    image = stream_images_response.pano_image
    kind = PanoImage.Type.Name(image.type)
    return f"module {image.module_id} {kind} {list(image.shape)} {image.file} (f#{image.frame_number})"
