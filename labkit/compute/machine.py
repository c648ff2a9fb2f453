"""What was measured of this machine, kept in one file, so that it is measured once.

machine.json    {what it is: {what was measured: figures}}
"""

import functools
import json
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from labkit.paths import cache_folder


def remembered(machine: str, what: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Figures of a machine, measured if they are not known.

    Args:
        machine: What `machine_name` gave.
        what: Name of the measurement.
        measure: Takes it; what it returns is ready for JSON.

    Returns:
        The figures.
    """
    file = cache_folder() / "machine.json"
    known = _read(file)
    if what not in known.get(machine, {}):
        figures = measure()
        known = _read(file)  # another process may have measured meanwhile
        known.setdefault(machine, {})[what] = figures
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        fresh.replace(file)
    return dict(known[machine][what])


def machine_name(device: str) -> str:
    """What the figures depend on: processor, threads and torch.

    Args:
        device: "cpu", "cuda" or "mps".

    Returns:
        Such as "cpu: AMD EPYC, 2 threads, torch 2.13.0+cpu".
    """
    import torch

    if device.startswith("cuda"):
        return f"{device}: {torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{device}: {processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


@functools.cache
def processor() -> str:
    """Its name, as the system tells it, with what it can multiply in bfloat16."""
    import torch

    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    asked = {"AMX": "_is_amx_tile_supported", "AVX512-bf16": "_is_avx512_bf16_supported"}
    able = [word for word, function in asked.items() if getattr(torch.cpu, function, bool)()]
    return " with ".join([name, *able[:1]])


def _read(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}
