"""Write summaries and other answers: in batches, sorted by length, with a cache, the same for every model."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from labkit.compute.allocator import keep_freed_memory
from labkit.errors import LabError
from labkit.models import Model
from labkit.prompts import LONGEST_SUMMARY, ZERO_SHOT, Prompt, encode_prompts

BATCH = 64


def summarize(
    model: Model,
    dialogues: Sequence[str],
    prompt: Prompt = ZERO_SHOT,
    *,
    beams: int = 1,
    max_new_tokens: int = LONGEST_SUMMARY,
    batch_size: int | None = None,
    progress: Callable[[int], Any] | None = None,
) -> list[str]:
    r"""Summarize dialogues, greedily unless told otherwise, always in eval mode.

    Args:
        model: A base model or one with a method.
        dialogues: Turns separated by newlines; one over the model's length loses its oldest turns.
        prompt: What is asked; the prompt of the task unless given.
        beams: Beams of the search; 1 is greedy.
        max_new_tokens: Longest summary, in tokens.
        batch_size: Dialogues at a time, at most; as many as there is room for unless given.
        progress: Called with the number of dialogues done whenever there are more.

    Returns:
        One summary a dialogue, in the order given.

    Raises:
        LabError: One text is given in the place of a list, a dialogue is empty, a number is below 1, or the prompt's
            examples leave no room for a dialogue.

    Example:
        >>> summarize(load_model("nano"), ["#Person1#: Are you coming?\n#Person2#: At six."])
    """
    check_dialogues(dialogues)
    if not isinstance(prompt, Prompt):
        raise LabError(f"prompt {prompt!r} is no Prompt: give Prompt('...')")
    ids = encode_prompts(model.tokenizer, list(dialogues), model.room, prompt).ids
    return generate(model, ids, beams=beams, max_new_tokens=max_new_tokens, batch_size=batch_size, progress=progress)


def check_dialogues(dialogues: Sequence[str]) -> None:
    """Raise LabError if one text is given in the place of a list, or a dialogue is empty."""
    if isinstance(dialogues, str):
        raise LabError("dialogues is one text: give a list of them, such as [text]")
    for number, dialogue in enumerate(dialogues, 1):
        if not dialogue.strip():
            raise LabError(f"dialogue {number} of {len(dialogues)} is empty: give it at least one turn")


def generate(
    model: Model,
    prompts: list[list[int]],
    *,
    beams: int = 1,
    max_new_tokens: int = LONGEST_SUMMARY,
    batch_size: int | None = None,
    progress: Callable[[int], Any] | None = None,
) -> list[str]:
    """Write what follows each encoded prompt; the arguments are those of `summarize`, and so is the search.

    Args:
        model: A base model or one with a method.
        prompts: Token ids, each with its end token.
        beams: Beams of the search; 1 is greedy.
        max_new_tokens: Longest text, in tokens.
        batch_size: Prompts at a time, at most; as many as there is room for unless given.
        progress: Called with the number of prompts done whenever there are more.

    Returns:
        One text a prompt, in the order given, without white space around it.

    Raises:
        LabError: A number is below 1.
    """
    from transformers import GenerationConfig

    for name, value in (("beams", beams), ("max_new_tokens", max_new_tokens), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise LabError(f"{name} is {value}: use 1 or more")
    keep_freed_memory()
    config = model.net.config
    settings = GenerationConfig(
        num_beams=beams,
        do_sample=False,
        max_new_tokens=max_new_tokens,
        use_cache=True,
        pad_token_id=config.pad_token_id,
        eos_token_id=config.eos_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
    )
    done, texts = 0, [""] * len(prompts)

    def ended(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(done)

    for rows, ids in _search(model, prompts, settings, batch_size, ended):
        for row, text in zip(rows, model.tokenizer.batch_decode(ids, skip_special_tokens=True), strict=True):
            texts[row] = text.strip()
    return texts


def _search(
    model: Model, prompts: list[list[int]], settings: Any, batch_size: int | None, ended: Callable[[int], Any]
) -> list[tuple[list[int], Any]]:
    """Rows and the token ids that follow them, in batches."""
    import torch

    from labkit.compute.decoding import batches, greedy, tokens_kept
    from labkit.compute.encoded import states_of
    from labkit.compute.working_copy import working_copy

    plain = isinstance(model.net, torch.nn.Module)  # else each row has an adapter of its own, and the rows must stay
    net = working_copy(model.net, model.precision) if plain else model.net
    t5 = net.get_base_model() if hasattr(net, "get_base_model") else net
    by_rows = settings.num_beams > 1 or not plain
    budget = tokens_kept(t5.config, 2 if model.precision == "bf16" else 4)
    lengths, found = [len(prompt) for prompt in prompts], []
    with eval_mode(net), model.arithmetic(), torch.inference_mode():
        for rows in batches(lengths, budget, batch_size or (BATCH if by_rows else len(prompts))):
            chosen = [prompts[row] for row in rows]
            if by_rows:
                batch = model.tokenizer.pad({"input_ids": chosen}, return_tensors="pt").to(model.device)
                asked = {name: batch[name] for name in ("input_ids", "attention_mask")}
                found.append((rows, net.generate(**asked, generation_config=settings)))
                ended(len(rows))
            else:
                found.append((rows, greedy(t5, states_of(net, chosen, settings), settings, ended)))
    return found


def turns_cut(model: Model, dialogues: list[str], prompt: Prompt = ZERO_SHOT) -> list[int]:
    """How many of its oldest turns each dialogue loses, since the model can read no more.

    Args:
        model: A base model or one with a method, whose virtual tokens take room, too.
        dialogues: Turns separated by newlines.
        prompt: What is asked, with its examples.

    Returns:
        A number a dialogue; 0 where all is read.

    Raises:
        LabError: The prompt's examples leave no room for a dialogue.
    """
    return encode_prompts(model.tokenizer, dialogues, model.room, prompt).turns_cut


def prompt_tokens(model: Model, dialogues: list[str], prompt: Prompt = ZERO_SHOT) -> list[int]:
    """How many tokens each prompt would take if nothing were cut: to be compared with `model.room`.

    Args:
        model: Whose tokenizer counts.
        dialogues: Turns separated by newlines.
        prompt: What is asked, with its examples, however many.

    Returns:
        Tokens a dialogue, the end token among them, virtual tokens not.
    """
    texts = [prompt.text(dialogue) for dialogue in dialogues]
    return [len(ids) for ids in model.tokenizer(texts, verbose=False)["input_ids"]] if texts else []


@contextmanager
def eval_mode(net: Any) -> Iterator[None]:
    """Switch dropout off for a block, and every module back to what it was afterwards."""
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
