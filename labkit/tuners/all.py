"""Imported for its effect: peft then knows every method of ours by its name."""

from labkit.tuners import adalora as adalora
from labkit.tuners import bottleneck as bottleneck
from labkit.tuners import llama_adapter as llama_adapter
from labkit.tuners import multitask as multitask
from labkit.tuners import prefix as prefix
