"""The leash over real sockets: what a Saxsdog client that is not ours gets for each command."""

from __future__ import annotations

import concurrent.futures
import json
import math
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import zmq

from devices.core.client import asking
from devices.core.errors import ConfigurationError, NotAllowedError
from devices.saxs.results import Attachment
from servers.leash.curve_keys import make_keys, read_client_keys, read_server_keys
from servers.leash.endpoint import Endpoint
from servers.leash.request import Limits, read_schema
from servers.leash.service import LeashSettings
from tests.leash import raw_client
from tests.leash.detector import SECRET, Running, entry, running_leash
from tests.leash.raw_client import exchange, signed
from tests.support.serving import wait_until

MASK = b"M\0\0\0A\0\0\0S\0\0\0K\0\0\0" + bytes(range(256))
CALIBRATION = {"Title": "img AgBeh", "Wavelength": 1.54, "Directory": ["img"], "Masks": [{"MaskFile": "AAA_integ.msk"}]}
SMALL = LeashSettings(entry(), follow_feeder=False, limits=Limits(4000, 100_000, 150_000, 5))


@pytest.fixture
def leash(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "agbeh2_1M.tif").touch()
    with running_leash(tmp_path) as found:
        yield found


@pytest.fixture
def queue(leash: Running) -> Running:
    assert new(leash)["result"] == "new queue"
    return leash


def checked(reply: Any) -> Any:
    jsonschema.validate(reply, read_schema("reply"))
    return reply


def ask(leash: Running, command: str, argument: Any = None, files: tuple[tuple[str, str], ...] = ()) -> Any:
    return checked(raw_client.ask(leash.url, SECRET, command, argument, files))


def new(leash: Running, calibration: Any = CALIBRATION, mask: bytes = MASK) -> Any:
    attachment = ("AAA_integ.msk", mask.decode("latin-1"))
    return ask(leash, "new", {"calibration": calibration, "data": {}}, (attachment,))


def send(leash: Running, *parts: bytes) -> Any:
    return checked(exchange(leash.url, list(parts)))


# The queue ------------------------------------------------------------------------------------------------------------


def test_a_new_queue_has_the_calibration_and_the_bytes_of_its_mask(leash: Running) -> None:
    before_s = time.time()
    assert new(leash) == {"result": "new queue", "data": {"cal": CALIBRATION}}
    assert leash.detector.queue == (CALIBRATION, (Attachment("AAA_integ.msk", MASK),))
    found = ask(leash, "get")
    assert found["result"] == "cal"
    assert found["data"]["cal"] == CALIBRATION
    assert found["data"]["attachments"] == [{"filename": "AAA_integ.msk", "data": MASK.decode("latin-1")}]
    stat = ask(leash, "stat")["data"]["stat"]
    assert set(stat) == {"images processed", "queue length", "time", "start time"}
    assert before_s <= stat["start time"] <= stat["time"] <= time.time()


def test_without_a_queue(leash: Running) -> None:
    assert ask(leash, "stat") == {"result": "stat", "data": {"stat": {}}}
    assert ask(leash, "get") == {"result": "no queue", "data": {}}
    assert ask(leash, "plot") == {"result": "no queue", "data": {}}
    assert ask(leash, "readdir") == {"result": "ValueError", "data": {"Error": "Start Queue first"}}
    assert ask(leash, "close") == {"result": "Error", "data": {"Error": "NotAllowedError: there is no queue"}}
    assert ask(leash, "abort") == {"result": "queue aborted", "data": {"stat": {}}}


def test_a_queue_is_read_again_closed_and_aborted(queue: Running) -> None:
    found = ask(queue, "readdir")
    assert found["result"] == "queue restarted with all files"
    assert (found["data"]["stat"]["images processed"], found["data"]["stat"]["queue length"]) == (0, 1)
    found = ask(queue, "close")
    assert found["result"] == "queue closed" and found["data"]["stat"]["queue length"] == 1
    assert queue.detector.closed
    assert ask(queue, "abort") == {"result": "queue aborted", "data": {"stat": {}}}
    assert ask(queue, "get")["result"] == "no queue"


@pytest.mark.parametrize(
    ("calibration", "mask", "result", "text"),
    [
        ({"Title": "x"}, MASK, "Error", "Wavelength is missing"),
        (CALIBRATION | {"Directory": ["..", "..", "etc"]}, MASK, "Error", "NotAllowedError: .*outside the folders"),
        (CALIBRATION, b"GIF89a", "IOError", "a mask is no Fit2D mask"),
    ],
)
def test_what_is_wrong_with_a_new_queue_is_said_and_the_old_one_stays(
    queue: Running, calibration: Any, mask: bytes, result: str, text: str
) -> None:
    found = new(queue, calibration, mask)
    assert found["result"] == result
    assert re.search(text, found["data"]["Error"])
    assert ask(queue, "get")["data"]["cal"] == CALIBRATION


# What was measured ----------------------------------------------------------------------------------------------------


def test_before_the_first_image_of_this_queue_a_plot_is_empty(queue: Running) -> None:
    assert ask(queue, "plot")["result"] == "Empty"
    queue.do(queue.detector.finish, "agbeh_00000", 310.5)
    assert ask(queue, "plot")["result"] == "plot"
    new(queue, CALIBRATION | {"Title": "another"})
    assert ask(queue, "plot")["result"] == "Empty", "the image of another queue"


def test_a_plot_has_three_rows_for_each_curve_and_nan_where_no_pixel_is(queue: Running) -> None:
    queue.do(queue.detector.finish, "agbeh_00000", 310.5)
    queue.do(queue.detector.finish, "agbeh_00001", 290.25)
    data = ask(queue, "plot")["data"]
    assert data["filename"] == f"{queue.detector.base}/work/agbeh_00001"
    radial, azimuthal, cut = data["graphs"]
    assert [len(row) for row in radial["array"]] == [5, 5, 5]
    assert radial["array"][0][1] == 1.0763 and radial["array"][1][1] == 480.5
    assert radial["array"][2][1] == pytest.approx(math.sqrt(480.5))
    assert math.isnan(radial["array"][1][4])
    assert radial["columnLabels"] == ["q [nm^-1]", "I(q) [counts/pixel]", "sigma"]
    assert (radial["kind"], radial["conf"]) == ("Radial", CALIBRATION)
    assert radial["mask"] == {"Name": "all", "Oversampling": 3}
    assert radial["Integparam"] == {"I0": 290.25, "I1": 580.5, "I2": 1451.25}
    assert radial["Image"] == f"{queue.detector.base}/img/agbeh_00001.tif"
    assert all(math.isnan(azimuthal["Integparam"][key]) for key in ("I0", "I1", "I2"))
    assert (cut["kind"], cut["slice"]) == ("Slice", {"Direction": "x", "CutPosition": 400})
    assert cut["array"][1] == [0.0, 3.0, 6.0, 9.0]
    assert len(data["history"]) == 2 and data["stat"]["images processed"] == 2


def test_integral_parameters_are_told_from_the_first_image_of_the_queue_on(queue: Running) -> None:
    i0 = [310.5, 290.25, 305.125, float("nan"), 300.0]
    for number, value in enumerate(i0[:2]):
        queue.do(queue.detector.finish, f"agbeh_{number:05}", value)
    assert ask(queue, "plot")["data"]["IntegralParameters"]["R0"]["I0"] == i0[:2]
    for number, value in enumerate(i0[2:], 2):
        queue.do(queue.detector.finish, f"agbeh_{number:05}", value)
    for _ in range(2):
        series = ask(queue, "plot")["data"]["IntegralParameters"]["R0"]
        assert series["file"] == [f"agbeh_{number:05}" for number in range(5)]
        assert str(series["I0"]) == str(i0)
        assert series["I2"][4] == 1500.0
    moments = [time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) for text in series["time"]]
    assert moments == [1400682300.0 + 10.0 * number for number in range(5)], "local time, as clients read it"
    ask(queue, "readdir")
    queue.do(queue.detector.finish, "agbeh_00000", 7.5)
    assert ask(queue, "plot")["data"]["IntegralParameters"]["R0"]["I0"] == [7.5], "begun anew"


def test_lists_of_results(queue: Running) -> None:
    found = ask(queue, "fileslist")
    assert found["result"] == "resultfileslists"
    assert found["data"]["fileslist"]["Radial0"] == ["work/aa.chi", "work/ab.chi"]


def test_folders_are_listed_below_the_base_and_nowhere_else(leash: Running) -> None:
    base = leash.detector.base
    found = ask(leash, "listdir", {"directory": []})
    assert found["result"] == "listdir"
    assert found["data"]["dircontent"] == [{"isdir": True, "path": "img"}]
    assert "/".join(found["data"]["directory"]) == str(base)
    assert ask(leash, "listdir")["data"] == found["data"]
    inside = ask(leash, "listdir", {"directory": ["img"]})["data"]
    assert inside["dircontent"] == [{"isdir": False, "path": "agbeh2_1M.tif"}]
    assert ask(leash, "listdir", {"directory": found["data"]["directory"]})["data"] == found["data"], "as it was told"
    (base / "out").symlink_to("/etc")
    for escape in (["..", ".."], ["", "etc"], ["out"], ["img", "..", "..", ".."]):
        refused = ask(leash, "listdir", {"directory": escape})
        assert refused["result"] == "OSError"
        assert "outside the folders" in refused["data"]["Error"], escape
    assert ask(leash, "listdir", {"directory": ["nowhere"]})["result"] == "OSError"


# Merging --------------------------------------------------------------------------------------------------------------


def test_a_merge_from_its_start_to_its_result(queue: Running) -> None:
    assert ask(queue, "getmergedata") == {"result": "Empty", "data": {}}
    configuration = {"TimeOffset": 0.0, "LogDataTables": [{"Name": "Peak"}]}
    logs = (("peak.log", "Time\tI [µA]\n3300000000\t1.5\n"),)
    assert ask(queue, "mergedata", {"mergeconf": configuration}, logs)["result"] == "merge startedmergedata"
    assert queue.detector.logs == (Attachment("peak.log", "Time\tI [µA]\n3300000000\t1.5\n".encode()),)
    busy = ask(queue, "mergedata", {"mergeconf": configuration})
    assert busy == {"result": "Error", "data": {"Error": "Merge already started please wait"}}
    assert ask(queue, "mergestat") == {"result": "stat", "data": {"mergeinfo": "reading logs\n"}}
    assert ask(queue, "mergestat")["data"]["mergeinfo"] == "", "what was told is not told again"
    assert "mergecount" not in ask(queue, "stat")["data"]["stat"]
    queue.do(queue.detector.end_merge)
    assert ask(queue, "stat")["data"]["stat"]["mergecount"] == 1
    assert "mergecount" not in ask(queue, "stat")["data"]["stat"], "in one reply only"
    found = ask(queue, "getmergedata")
    assert found["result"] == "mergedata" and set(found["data"]) == {"syncplot", "fileslist"}
    assert math.isnan(found["data"]["syncplot"]["Shutter"]["value"][0])


# Who is let in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["new", "mergedata"])
def test_a_command_without_its_argument_is_named(leash: Running, command: str) -> None:
    found = ask(leash, command)
    assert found["result"] == "ValueError" and command in found["data"]["Error"]


def test_plotdata_is_in_the_protocol_and_no_command(leash: Running) -> None:
    assert ask(leash, "plotdata")["result"] == "ErrorNotimplemented"


@pytest.mark.parametrize(
    ("request_", "result", "text"),
    [
        (b"{", "ValueError in request", "Expecting"),
        (b"\xff", "ValueError in request", "utf-8"),
        (b'{"command": "send plot"}', "ValidationError in request", "command: 'send plot'"),
        (b'{"command": "stat"}', "ServerError", "'time'"),
        (b'{"command": "stat", "time": 5.0, "sign": ""}', "AuthenticationError", "'Untimely request.'"),
        (json.dumps(signed("guess", "stat")).encode(), "AuthenticationError", "'Wrong signature.'"),
        (b"[" * 5000, "ValueError in request", "nested"),
        (b" " * 1_100_000, "ValueError in request", "1100000 bytes, more than 1048576"),
        (b"", "ValueError in request", "Expecting"),
    ],
)
def test_what_is_no_request_gets_a_reply_that_clients_can_read(
    leash: Running, request_: bytes, result: str, text: str
) -> None:
    found = send(leash, request_)
    assert found["result"] == result
    assert text in found["data"]["Error"]
    assert ask(leash, "stat")["result"] == "stat", "and the next client is served"


def test_a_request_without_a_signature_is_told_so(leash: Running) -> None:
    found = send(leash, json.dumps({"command": "abort", "time": time.time()}).encode())
    assert found == {"result": "ServerError", "data": {"Error": "'sign'"}}


def test_a_recorded_request_does_nothing_the_second_time(queue: Running) -> None:
    recorded = json.dumps(signed(SECRET, "abort")).encode()
    assert send(queue, recorded)["result"] == "queue aborted"
    new(queue)
    refused = send(queue, recorded)
    assert refused["result"] == "AuthenticationError" and "before" in refused["data"]["Error"]
    assert ask(queue, "get")["result"] == "cal", "the queue still is"


def test_hostile_attachments_are_refused_and_begin_no_queue(leash: Running) -> None:
    for part in (b"\xff", b"[]", b"{}", '{"filename": "a", "data": "€"}'.encode(), b"[" * 9000):
        request = json.dumps(signed(SECRET, "new", {"calibration": CALIBRATION, "data": {}})).encode()
        found = send(leash, request, part)
        assert found["result"] == "ValueError" and "attachment 1" in found["data"]["Error"], part[:20]
    assert ask(leash, "get")["result"] == "no queue"


def test_what_is_too_large_is_refused_and_what_is_far_too_large_is_not_even_taken(tmp_path: Path) -> None:
    with running_leash(tmp_path, SMALL) as leash:
        request = json.dumps(signed(SECRET, "new", {"calibration": CALIBRATION})).encode()
        assert "more than 100000" in send(leash, request, b"x" * 100_001)["data"]["Error"]
        assert "more than 150000" in send(leash, request, b"x" * 80_000, b"x" * 80_000)["data"]["Error"]
        assert "6 parts" in send(leash, request, *[b""] * 5)["data"]["Error"]
        with pytest.raises(TimeoutError):
            exchange(leash.url, [request, b"x" * 300_000], seconds=0.5)
        assert ask(leash, "stat")["result"] == "stat"


def test_bytes_that_are_no_zeromq_disturb_nobody(leash: Running) -> None:
    port = int(leash.url.rpartition(":")[2])
    for noise in (b"", b"GET / HTTP/1.0\r\n\r\n", bytes(range(256)) * 40):
        with socket.create_connection(("127.0.0.1", port), 5.0) as link:
            link.sendall(noise)
    assert ask(leash, "stat")["result"] == "stat"


def test_a_message_that_wants_no_reply_gets_none(leash: Running) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(leash.url)
        dealer.send(json.dumps(signed(SECRET, "stat")).encode())
        dealer.send_multipart([b"", json.dumps(signed(SECRET, "stat")).encode()])
        assert dealer.poll(5000)
        empty, reply = dealer.recv_multipart()
        assert empty == b"" and json.loads(reply)["result"] == "stat"
        assert not dealer.poll(200)


# At the same time -----------------------------------------------------------------------------------------------------


def test_a_new_queue_that_takes_long_delays_no_other_client(leash: Running) -> None:
    leash.do(leash.detector.prepared.clear)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(new, leash)
        for _ in range(20):
            assert ask(leash, "stat")["data"]["stat"] == {}
        assert ask(leash, "abort")["result"] == "queue aborted"
        assert not waiting.done()
        leash.do(leash.detector.prepared.set)
        assert waiting.result(10.0)["result"] == "new queue"


def test_a_client_that_went_away_blocks_nobody(leash: Running) -> None:
    leash.do(leash.detector.prepared.clear)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            request = json.dumps(signed(SECRET, "new", {"calibration": CALIBRATION})).encode()
            exchange(leash.url, [request], seconds=0.3)
    leash.do(leash.detector.prepared.set)
    wait_until(lambda: ask(leash, "get")["result"] == "cal", 10.0, "the queue began although nobody heard of it")


def test_a_command_that_never_ends_is_ended_before_the_client_gives_up(tmp_path: Path) -> None:
    with running_leash(tmp_path, LeashSettings(entry(), follow_feeder=False, seconds=0.2)) as leash:
        leash.do(leash.detector.prepared.clear)
        found = new(leash)
        assert found == {"result": "Error", "data": {"Error": "TimeoutError: new has not ended within 0.2 s"}}
        leash.do(leash.detector.prepared.set)
        assert new(leash)["result"] == "new queue", "and the next one may begin"


def test_two_queues_of_one_network_have_secrets_of_their_own(tmp_path: Path) -> None:
    theirs = replace(entry(name="Queue2"), secret="another secret of 30 digits...")
    second = LeashSettings(theirs, follow_feeder=False)
    with running_leash(tmp_path) as first, running_leash(tmp_path, second) as other:
        request = json.dumps(signed(SECRET, "stat")).encode()
        assert send(first, request)["result"] == "stat"
        assert send(other, request)["data"]["Error"] == "'Wrong signature.'"


def test_a_port_that_is_taken_is_named(leash: Running, tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match=rf"cannot listen on {leash.url}: Address already in use"),
        running_leash(tmp_path, LeashSettings(entry(leash.url))),
    ):
        pass


def test_a_leash_listens_on_this_host_only_unless_told_otherwise(tmp_path: Path) -> None:
    with running_leash(tmp_path, LeashSettings(entry("tcp://saxs.example.org:0"), follow_feeder=False)) as leash:
        assert leash.url.startswith("tcp://127.0.0.1:")
    with running_leash(tmp_path, LeashSettings(entry(), bind="::1", follow_feeder=False)) as leash:
        assert leash.url.startswith("tcp://[::1]:")


# The feeder -----------------------------------------------------------------------------------------------------------


def test_images_that_a_feeder_announces_come_into_the_queue(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as feeder:
        feeder.linger = 0
        port = feeder.bind_to_random_port("tcp://127.0.0.1")
        with running_leash(tmp_path, LeashSettings(entry(feeder=f"tcp://127.0.0.1:{port}"))) as leash:
            new(leash)

            def announced() -> Any:
                feeder.send(b"no JSON")
                feeder.send_json({"command": "new file", "argument": "/etc/shadow.tif"})
                feeder.send_json({"command": "new file", "argument": "img/agbeh_00003.tif"})
                return leash.detector.files

            wait_until(announced, 10.0, "an image is in the queue")
            assert set(leash.detector.files) == {str(tmp_path / "img" / "agbeh_00003.tif")}
            assert ask(leash, "stat")["data"]["stat"]["queue length"] >= 1
    assert "no announcement" in caplog.text
    assert "outside the folders" in caplog.text


# Encrypted ------------------------------------------------------------------------------------------------------------


def test_an_encrypted_leash_lets_in_whose_key_it_knows(tmp_path: Path) -> None:
    make_keys("Queue1", Endpoint.parse("tcp://127.0.0.1:0"), tmp_path / "network")
    server, client = (read("Queue1", tmp_path / "network") for read in (read_server_keys, read_client_keys))
    assert server is not None and client is not None
    keys = (client.server_public, client.public, client.secret)
    stranger = tuple(key.decode() for key in zmq.curve_keypair())
    request = json.dumps(signed(SECRET, "stat")).encode()
    with running_leash(tmp_path, LeashSettings(entry("tcp://127.0.0.2:0"), curve=server, follow_feeder=False)) as leash:
        plain, encrypted = leash.service.endpoints
        assert checked(exchange(plain, [request]))["result"] == "stat"
        fresh = json.dumps(signed(SECRET, "stat")).encode()
        assert checked(exchange(encrypted, [fresh], curve=keys))["result"] == "stat"
        assert exchange(encrypted, [fresh], curve=keys)["result"] == "AuthenticationError", "repeated there, too"
        with pytest.raises(TimeoutError):
            exchange(encrypted, [request], 0.5, curve=(client.server_public, *stranger))
        with pytest.raises(TimeoutError):
            exchange(encrypted, [request], 0.5)
        with pytest.raises(TimeoutError):
            exchange(encrypted, [request], 0.5, curve=(stranger[0], client.public, client.secret))


def test_with_keys_for_the_same_address_nothing_is_served_in_plain_text(tmp_path: Path) -> None:
    make_keys("Queue1", Endpoint.parse("tcp://127.0.0.1:0"), tmp_path / "network")
    server, client = (read("Queue1", tmp_path / "network") for read in (read_server_keys, read_client_keys))
    assert server is not None and client is not None
    with running_leash(tmp_path, LeashSettings(entry(), curve=server, follow_feeder=False)) as leash:
        assert len(leash.service.endpoints) == 1
        request = json.dumps(signed(SECRET, "stat")).encode()
        with pytest.raises(TimeoutError):
            exchange(leash.url, [request], 0.5)
        reply = exchange(leash.url, [request], curve=(client.server_public, client.public, client.secret))
        assert checked(reply)["result"] == "stat"


def test_a_client_of_a_reserved_detector_asks_only(tmp_path: Path) -> None:
    asked_for: list[str] = []

    def demand(what: str) -> None:
        asked_for.append(f"{what} {asking.get()}")
        raise NotAllowedError(f"{what}: saxs/detector/1 is reserved by bluesky until 04:31:07 UTC")

    with running_leash(tmp_path, LeashSettings(entry(), follow_feeder=False, demand=demand)) as leash:
        text = "NotAllowedError: new: saxs/detector/1 is reserved by bluesky until 04:31:07 UTC"
        assert new(leash) == {"result": "Error", "data": {"Error": text}}
        assert ask(leash, "stat")["result"] == "stat"
    assert asked_for == ["new leash 127.0.0.1"]
