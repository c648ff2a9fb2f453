"""Tests that need a library which stores fewer bits, and are skipped where it is not installed."""

import importlib.util

import pytest

from labkit.quantization import LIBRARIES


def needs(bits: int | None) -> pytest.MarkDecorator:
    """A mark that skips a test where so many bits cannot be stored."""
    library = LIBRARIES[bits] if bits else "torch"
    missing = importlib.util.find_spec(library) is None
    return pytest.mark.skipif(missing, reason=f"{library} is not installed: pip install {library}")


eight_bits = needs(8)
either = [pytest.param(bits, marks=needs(bits)) for bits in LIBRARIES]
