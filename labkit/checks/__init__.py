"""Checks of the labs' exercises: each says right, or what went wrong on the way to a number.

A check is an object to be shown, true or false, and never an exception: a learner who is not there yet gets one line
and no traceback. The tests of the labs put the solution in its place, and assert that the check takes it.
"""

from labkit.checks.costs import adapter_storage as adapter_storage
from labkit.checks.costs import lora_parameters as lora_parameters
from labkit.checks.costs import training_memory as training_memory
from labkit.checks.costs import virtual_token_parameters as virtual_token_parameters
from labkit.checks.experiments import better_wording as better_wording
from labkit.checks.experiments import compared as compared
from labkit.checks.experiments import errors_counted as errors_counted
from labkit.checks.experiments import fits as fits
from labkit.checks.experiments import overfits as overfits
from labkit.checks.merging import merged_equal as merged_equal
from labkit.checks.outcome import Check as Check
from labkit.checks.outcome import check as check
from labkit.checks.prompting import few_shot_from_train as few_shot_from_train
from labkit.checks.prompting import prompt_tokens_left as prompt_tokens_left
from labkit.checks.prompting import rouge1_by_hand as rouge1_by_hand
