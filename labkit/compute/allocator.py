"""Let glibc keep the memory that a training step frees, since the next step asks for it again.

By default it gives blocks of some hundred kB and more back to the system at once, which then has to clear each page
anew: on FLAN-T5-small's shape a million page faults a minute, and a third of the time in the system.
"""

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # as malloc.h numbers them
MIB = 2**20


@cache
def keep_freed_memory() -> bool:
    """Ask glibc to keep what is freed, for the rest of the process.

    Returns:
        Whether it does; False on systems without glibc, whose allocators are other ones.
    """
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"):
        return False
    asked = ((_MMAP_THRESHOLD, 1024 * MIB), (_TRIM_THRESHOLD, 2048 * MIB - 1), (_TOP_PAD, 64 * MIB))
    return all(ctypes.CDLL(None).mallopt(name, value) for name, value in asked)
