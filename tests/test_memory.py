"""Peak memory: it sees what was there in between, not only what is left."""

import threading
import time

import numpy as np
import pytest

from labkit.memory import PeakMemory


def test_sees_memory_that_is_gone_at_the_end() -> None:
    with PeakMemory() as small:
        pass
    with PeakMemory() as large:
        array = np.ones(55 * 2**20 // 8 * 4)  # 220 MiB
        time.sleep(0.3)
        del array
    assert 200 <= large.mib - small.mib < 300  # what else the process holds may shrink a little meanwhile


def test_measures_the_whole_process() -> None:
    with PeakMemory() as peak:
        pass
    assert 20 < peak.mib < 20_000  # Python with numpy takes more than 20 MiB


def test_stops_its_thread_when_the_block_fails() -> None:
    before, peak = threading.active_count(), PeakMemory()

    def fail() -> None:
        with peak:
            assert threading.active_count() == before + 1
            raise RuntimeError("in the block")

    with pytest.raises(RuntimeError, match="in the block"):
        fail()
    assert threading.active_count() == before
    assert peak.mib > 0


def test_does_not_count_an_earlier_block_again() -> None:
    with PeakMemory() as first:
        array = np.ones(50 * 2**20 // 8 * 4)
        time.sleep(0.3)
        del array
    with PeakMemory() as second:
        pass
    assert second.mib < first.mib - 150
