"""Methods that peft does not have, or not rightly for an encoder-decoder, as peft would have them."""

from typing import Any


def register(config: type, model: type[Any], prefix: str) -> None:
    """Make a method known to peft by the name in its config, so that it is saved, loaded and switched like its own.

    peft has a function for this that takes the names of its own methods only, so its tables are filled directly.
    """
    from peft import mapping

    name = config().peft_type
    mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name] = config
    mapping.PEFT_TYPE_TO_TUNER_MAPPING[name] = model
    mapping.PEFT_TYPE_TO_PREFIX_MAPPING[name] = prefix
