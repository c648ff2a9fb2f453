"""How much memory something took at its highest."""

import ctypes
import gc
import sys
import threading
from types import TracebackType
from typing import Self

import psutil

MIB = 2**20


class PeakMemory:
    """Measure the highest memory of this process, or of the GPU where there is one, while a block runs.

    On a CPU it is the resident memory of the whole process, libraries included, sampled every 20 ms.

    Example:
        >>> with PeakMemory() as peak: train()
        >>> peak.mib
    """

    def __init__(self, device: str = "cpu"):
        self.device = device
        self._highest = 0.0
        self._running = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _look(self) -> None:
        self._highest = max(self._highest, psutil.Process().memory_info().rss / MIB)

    def _sample(self) -> None:
        while not self._stop.wait(0.02):
            self._look()

    @property
    def mib(self) -> float:
        """The highest so far, or of the whole block once it has ended."""
        if self._running and self.device.startswith("cuda"):
            import torch

            self._highest = torch.cuda.max_memory_allocated(self.device) / MIB
        return self._highest

    def __enter__(self) -> Self:
        """Give freed memory back to the system, then start to look."""
        gc.collect()
        self._running = True
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            if sys.platform == "linux":
                # glibc keeps what an earlier training freed, which would be counted as this one's
                trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
                if trim:
                    trim(0)
            self._look()
            self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Stop looking; the figure stays in `mib`."""
        if not self.device.startswith("cuda"):
            self._stop.set()
            self._thread.join()
            self._look()
        self._highest = self.mib
        self._running = False
