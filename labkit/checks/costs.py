"""Labs 2, 3, 4 and 7: what a method costs, in parameters and in bytes."""

from typing import Any

from labkit.checks.outcome import Check, check

FP32 = 4  # bytes a number
UNITS = {"kB": 1e3, "MB": 1e6, "MiB": 2**20, "GB": 1e9, "GiB": 2**30}


def training_memory(value: Any, parameters: int, trainable: int | None = None) -> Check:
    """Check the bytes of weights, gradients and AdamW's moments, all in float32; activations come on top.

    Source: Rajbhandari et al. 2020, "ZeRO", arXiv:1910.02054, section 3.1, with float32 throughout.

    Args:
        value: The learner's number of bytes, to 1 %.
        parameters: All parameters of the model.
        trainable: Those that are trained; all unless given.

    Returns:
        The outcome.
    """
    trained = parameters if trainable is None else trainable
    wanted = FP32 * (parameters + 3 * trained)
    mistakes = [
        (FP32 * parameters, "those are the weights alone; training adds gradients and AdamW's two moments"),
        (FP32 * (parameters + trained), "those are weights and gradients; AdamW keeps two moments of each as well"),
        (FP32 * (parameters + 2 * trained), "one of four is left out: weight, gradient, and AdamW's two moments"),
        (4 * FP32 * parameters, "only what is trained has a gradient and moments"),
        (4 * FP32 * trained, "the frozen weights are in memory, too"),
        (3 * FP32 * trained, "the weights themselves are in memory, too"),
        (parameters, "that is how many parameters there are; a float32 takes 4 bytes"),
        *_in_other_units(wanted),
    ]
    return check("the bytes of training", value, wanted, mistakes, "add up what each parameter takes", tolerance=0.01)


def adapter_storage(value: Any, trainable: int, total: int) -> Check:
    """Check the bytes of an adapter's file: what was trained, in float32.

    Args:
        value: The learner's number of bytes, to 5 %, since a file also holds the names of its arrays.
        trainable: Parameters that were trained.
        total: All parameters of the model.

    Returns:
        The outcome.
    """
    wanted = FP32 * trainable
    mistakes = [
        (FP32 * total, "that is the whole model; an adapter's file holds what was trained"),
        (trainable, "that is how many parameters there are; a float32 takes 4 bytes"),
        (2 * trainable, "that is 2 bytes a parameter; adapters are saved in float32"),
        (8 * wanted, "that is in bits; give bytes"),
        (4 * wanted, "gradients and moments are not saved"),
        *_in_other_units(wanted),
    ]
    return check("the bytes of the adapter", value, wanted, mistakes, "count what was trained", tolerance=0.05)


def lora_parameters(value: Any, inputs: int, outputs: int, rank: int, layers: int = 1) -> Check:
    """Check how many parameters LoRA trains: A has rank x inputs, B has outputs x rank (Hu et al. 2021, section 4.1).

    Args:
        value: The learner's number.
        inputs: Inputs of an adapted layer.
        outputs: Outputs of an adapted layer.
        rank: Of the change.
        layers: Adapted layers of this size, in encoder and decoder.

    Returns:
        The outcome.
    """
    one = rank * (inputs + outputs)
    wanted = layers * one
    mistakes = [
        (one, "that is one adapted layer; there are more"),
        (layers * rank * inputs * outputs, "inputs and outputs are added: A has rank x inputs, B has outputs x rank"),
        (layers * rank * inputs, "that is one matrix of the two, A with rank x inputs numbers; B has outputs x rank"),
        (layers * rank * outputs, "that is one matrix of the two, B with outputs x rank numbers; A has rank x inputs"),
        (layers * inputs * outputs, "that is W itself, which stays frozen"),
        (layers * (inputs * outputs + one), "W is frozen and does not count"),
        (layers * (inputs + outputs), "the rank is left out"),
        (2 * layers, "that is how many matrices there are; count the numbers in them"),
        (wanted / 3, "that is a third; the decoder has two attentions a layer, beside the encoder's one"),
        (2 * wanted / 3, "that is two thirds; the decoder's attention to the encoder counts, too"),
    ]
    return check("the number of LoRA's parameters", value, wanted, mistakes, "A and B in every adapted layer")


def virtual_token_parameters(value: Any, tokens: int, width: int, layers: int) -> Check:
    """Check how many parameters prompt tuning trains: one vector a virtual token (Lester et al. 2021, section 2).

    Args:
        value: The learner's number.
        tokens: Virtual tokens.
        width: Of the model's hidden states, d_model.
        layers: Of the encoder.

    Returns:
        The outcome.
    """
    wanted = tokens * width
    mistakes = [
        (tokens, "that is how many tokens there are; each is a vector"),
        (width, "that is one token's vector"),
        (2 * wanted, "the vectors stand at the encoder's input only, the decoder has none"),
        (layers * wanted, "the vectors stand at the input only; prefix tuning has some in each layer"),
        (2 * layers * wanted, "the vectors stand at the input only; prefix tuning has keys and values in each layer"),
    ]
    return check("the number of trained parameters", value, wanted, mistakes, "one vector a virtual token")


def _in_other_units(wanted: float) -> list[tuple[float, str]]:
    return [(wanted / size, f"that is in {unit}; give bytes") for unit, size in UNITS.items()]
