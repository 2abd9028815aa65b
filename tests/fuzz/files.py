"""Files that a person of the site, or a program beside ours, has written."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
from hypothesis import strategies as st

from devices.core.errors import BadValueError, ConfigurationError, DiptychError, ProtocolError
from devices.drivers.beamline_log import parse_beamline_log
from devices.drivers.chi_file import read_chi
from devices.drivers.detector_image import decode_detector_image
from devices.drivers.detector_log import parse_detector_log
from devices.drivers.lod_file import parse_lod
from devices.drivers.mask_file import decode_mask, encode_fit2d_mask
from devices.drivers.poni_file import decode_poni
from devices.drivers.s_record_file import parse_s_records
from devices.drivers.saxs_calibration_import import imported
from servers.alarms.alarm_list import read_alarm_list
from servers.epics.access import rules_from
from servers.epics.devices_file import read_devices
from servers.facility.document import read_json, read_yaml
from servers.facility.facility_file import read_facility
from servers.leash.network_file import read_network
from servers.token_file import read_token
from servers.web.login.tokens import read_tokens
from servers.web.login.users import read_users
from tests.fuzz.mutation import json_texts, messages, texts, values
from tests.fuzz.target import Target

ROOT = Path(__file__).parents[2]
PONI = (
    "# Detector\nDetector: Pilatus1M\nDistance: 1.5\nPoni1: 0.1\nPoni2: 0.08\n"
    "Rot1: 0\nRot2: 0\nRot3: 0\nWavelength: 1e-10\n"
)
EDF = (
    b"{\nDim_1 = 3 ;\nDim_2 = 2 ;\nDataType = UnsignedShort ;\nByteOrder = LowByteFirst ;\n"
    + b" " * 40
    + b"}\n"
    + bytes(12)
)
CBF = (
    b"###CBF: VERSION 1.5\r\n# Exposure_time 1.0 s\r\n--CIF-BINARY-FORMAT-SECTION--\r\n"
    b"Content-Type: application/octet-stream;\r\n"
    b'     conversions="x-CBF_BYTE_OFFSET"\r\nX-Binary-Size: 6\r\nX-Binary-Element-Type: "signed 32-bit integer"\r\n'
    b"X-Binary-Size-Fastest-Dimension: 3\r\nX-Binary-Size-Second-Dimension: 2\r\n\r\n\x0c\x1a\x04\xd5" + bytes(6)
)
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def tiff() -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.arange(6, dtype=np.int32).reshape(2, 3), description="# Exposure_time 1.0 s")
    return file.getvalue()


def with_file(read: Callable[[Path], Any], name: str = "file", mode: int = 0o600) -> Callable[[str | bytes], Any]:
    """A reader of files as one of contents."""

    def parse(content: str | bytes) -> Any:
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
            path.chmod(mode)
            return read(path)

    return parse


def _facility(content: str | bytes) -> None:
    def read(path: Path) -> None:
        path.with_name("lab.json").write_text('{"servers": {}}')
        read_facility(path.with_name("lab.json"), state_dir=path.parent, to_run=False)

    with_file(read, "lab.facility.yaml")(content)


def _token(content: str | bytes) -> None:
    problems: list[str] = []
    token = with_file(lambda path: read_token(str(path), problems))(content)
    assert token or problems


FACILITY = (ROOT / "dbconfig" / "demo.facility.yaml").read_text()
ALARMS = (ROOT / "dbconfig" / "alarms.demo.yaml").read_text()
DEVICES = (ROOT / "dbconfig" / "tangotest.devices.yaml").read_text()
NETWORK = [{"Server": "tcp://127.0.0.1:9723", "Feeder": "tcp://127.0.0.1:9823", "Secret": "x" * 40, "Name": "a"}]

TARGETS = [
    Target(
        "images (TIFF, CBF, EDF)",
        "drivers.detector_image",
        messages(tiff(), EDF, CBF),
        lambda data: decode_detector_image(data, "x"),
        (ProtocolError,),
    ),
    Target(
        "masks",
        "drivers.mask_file",
        messages(encode_fit2d_mask(np.eye(5, 3, dtype=bool)), tiff()),
        lambda data: decode_mask(data, "x"),
        (ProtocolError,),
    ),
    Target("PONI files", "drivers.poni_file", texts(PONI), lambda text: decode_poni(text, "x"), (ProtocolError,)),
    Target(
        "calibrations of others",
        "drivers.saxs_calibration_import",
        st.one_of(
            texts(
                PONI,
                "INFO: Refined Beam centre = 1, 2\nINFO: Refined sample to detector distance = 100.0 mm\n",
                "BeamCenterX=100;BeamCenterY=50;SampleToCCDDistance=1000;Wavelength=1;PixelSizeX=0.1",
            ),
            json_texts({"Geometry": {}}),
        ),
        lambda text: imported(text, "x", {}),
        (ProtocolError, BadValueError, ConfigurationError),
    ),
    Target(
        "logs of beamlines",
        "drivers.beamline_log",
        messages("Time\tT [C]\n3.8e9\t20.5\n3.8e9\t21\n", "Date,Time,I0\n2026-11-21,03:12:04,1e5\n"),
        lambda data: parse_beamline_log(data, "x", "Unix"),
        (ProtocolError,),
    ),
    Target(
        "logs of detectors",
        "drivers.detector_log",
        messages("# 2026-11-21T03:12:04 Exposure 1.0 s image_0001.tif\n"),
        lambda data: parse_detector_log(data, "x"),
        (ProtocolError,),
    ),
    Target(
        "curves (chi)",
        "drivers.chi_file",
        texts("title\nq\nI\n 3\n 1.0 2.0\n 2.0 3.0\n"),
        with_file(read_chi),
        (DiptychError,),
    ),
    Target(
        "DSP programs (lod)",
        "drivers.lod_file",
        texts("_START T 0001 0000\n_DATA P 000000\n000001 00000A\n_END 000000\n"),
        parse_lod,
        (BadValueError,),
    ),
    Target(
        "S-records",
        "drivers.s_record_file",
        texts("S00600004844521B\nS1130000285F245F2212226A000424290008237C2A\nS5030001FB\nS9030000FC\n"),
        parse_s_records,
        (BadValueError, ConfigurationError),
    ),
    Target(
        "YAML",
        "facility.document",
        st.one_of(
            texts(
                ALARMS[:600],
                "a: 2026-13-45\n",
                "? [a, b]\n: 1\n",
                "a: !!python/object:os.system x\n",
                "[" * 3000,
                LAUGHS,
            ),
            st.text(),
        ),
        with_file(read_yaml),
        (ConfigurationError,),
    ),
    Target(
        "JSON",
        "facility.document",
        json_texts({"servers": {}}, '{"a": ' + "9" * 5000 + "}"),
        with_file(read_json),
        (ConfigurationError,),
    ),
    Target("facility files", "facility.facility_file", texts(FACILITY), _facility, (ConfigurationError,)),
    Target("alarm lists", "alarms.alarm_list", texts(ALARMS), with_file(read_alarm_list), (ConfigurationError,)),
    Target("devices of mirrors", "epics.devices_file", texts(DEVICES), with_file(read_devices), (ConfigurationError,)),
    Target(
        "access rules",
        "epics.access",
        st.lists(values("network", "host", "user", "pv", "level"), max_size=3),
        rules_from,
        (ConfigurationError,),
    ),  # type: ignore[arg-type]
    Target(
        "network files",
        "leash.network_file",
        json_texts(NETWORK, keys=tuple(NETWORK[0])),
        with_file(read_network),
        (ConfigurationError,),
    ),
    Target(
        "users",
        "web.login.users",
        texts("anna:$2y$12$abcdefghijklmnopqrstuuWVvHLmVYd1YKhOIpVO1fzBEfKCd/8aK\n"),
        with_file(read_users),
        (ConfigurationError,),
    ),
    Target(
        "tokens", "web.login.tokens", texts("wall:" + "a" * 40 + "\n"), with_file(read_tokens), (ConfigurationError,)
    ),
    Target("token of a service", "token_file", texts("a" * 40 + "\n"), _token),
]
