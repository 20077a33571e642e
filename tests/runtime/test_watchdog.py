import threading
import time

from minima.runtime.watchdog import Watchdog


def test_barks_once_nothing_moves():
    barked = threading.Event()
    with Watchdog(0.05, lambda seconds: barked.set()):
        assert barked.wait(10)


def test_beats_keep_it_quiet():
    barks = []
    with Watchdog(5.0, barks.append) as watchdog:
        watchdog._last -= 4.9  # as if that long had passed
        watchdog.beat()
        time.sleep(1.5)
    assert not barks


def test_none_without_a_limit():
    before = threading.active_count()
    with Watchdog(0.0):
        assert threading.active_count() == before
