"""Memory that a training step frees and the next one asks for again, and memory that nobody asks for again.

By default glibc gives blocks of some hundred kB and more back to the system at once, which then has to clear each page
anew: on FLAN-T5-small's shape a million page faults a minute, and a third of the time in the system.

And oneDNN, which multiplies in bfloat16, keeps a kernel for each of the last 1,024 shapes that it has met. Dialogues of
all lengths have many shapes: after some trainings of nano that came to 700 MiB, more than the trainings themselves.
"""

import ctypes
import os
import sys
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # as malloc.h numbers them
MIB = 2**20
KERNELS = 128


def keep_few_kernels() -> None:
    """Ask oneDNN, and torch in front of it, to keep fewer kernels, unless the environment says how many.

    They look once, at the first product of a process.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(KERNELS))


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
