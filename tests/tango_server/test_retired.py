"""A proxy may take seconds to end: nobody waits for it."""

import threading
import time

from servers.tango_server import retired
from tests.support.serving import wait_until

ended: list[str] = []


class Proxy:
    """Says in which thread it ended, after a while."""

    def __del__(self) -> None:
        time.sleep(0.3)
        ended.append(threading.current_thread().name)


def test_who_drops_a_proxy_goes_on_at_once_and_it_ends_in_a_thread_of_its_own() -> None:
    ended.clear()
    began = time.monotonic()
    for _ in range(3):
        proxy = Proxy()
        retired.drop(proxy)
        del proxy
    assert time.monotonic() - began < 0.3
    wait_until(lambda: ended == ["tango-dropped"] * 3, 10.0, "all have ended")


def test_the_last_reference_of_an_error_is_not_the_one_that_ends_it() -> None:
    ended.clear()
    proxy = Proxy()
    try:
        raise TimeoutError(proxy)
    except TimeoutError:
        retired.drop(proxy)
        del proxy
    wait_until(lambda: ended == ["tango-dropped"], 10.0, "it has ended")


def test_nobody_is_dropped_where_there_is_no_proxy() -> None:
    retired.drop(None)
    assert retired._dropped.empty()
