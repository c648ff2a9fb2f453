"""What labkit found on this machine, what it chose, and why."""

from importlib.metadata import version
from typing import Any

from labkit.models import check_precision, device_here, precision_here
from labkit.parameters import shape_of
from labkit.paths import cache_folder
from labkit.runs import PACKAGES


def examine(model: str = "nano") -> dict[str, str]:
    """Machine, versions, precision and memory, in words; what was not measured before is measured now.

    Args:
        model: An embedded model, a FLAN-T5 of the Hub, or a folder: the one that the precision is chosen for.

    Returns:
        A line for each thing.

    Raises:
        LabError: The shape of the model is not known.
    """
    import psutil
    import torch

    from labkit.compute.allocator import keep_freed_memory
    from labkit.compute.compiling import why_not
    from labkit.compute.machine import processor
    from labkit.compute.precision import product_figures

    device, shape = device_here(), shape_of(model)
    memory = psutil.virtual_memory()
    products = product_figures(device)
    found = {
        "machine": processor() if device == "cpu" else torch.cuda.get_device_name() if device == "cuda" else device,
        "threads": f"{torch.get_num_threads()} of {psutil.cpu_count()} cores",
        "memory": f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} free",
        "products": f"{products['fp32']:.0f} GFLOP/s in fp32, {products['bf16']:.0f} in bf16",
        "precision": f"{precision_here(shape, device)} for {model}: {_why(shape, device)}",
        "compiled steps": why_not(device) or "in trainings that are long enough",
        "freed memory": "kept for the next step" if keep_freed_memory() else "left to the system's own allocator",
        "cache": str(cache_folder()),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }
    return found


def _why(shape: Any, device: str) -> str:
    from labkit.compute.precision import WIDEST, step_figures

    if check_precision("auto") != "auto":
        return "LABKIT_PRECISION says so"
    if shape.d_model > WIDEST or device == "mps":
        return "by the products" if device != "mps" else "autocast is young there"
    steps = step_figures(shape, device)
    return f"a step of two such layers takes {steps['fp32']} ms in fp32 and {steps['bf16']} ms in bf16"
