"""Exercises that are experiments: whether they were done as asked, and what they show."""

from collections.abc import Mapping
from typing import Any

from labkit.checks.outcome import Check
from labkit.comparison import Comparison
from labkit.dialogues import Dialogues
from labkit.generation import summarize
from labkit.models import Model
from labkit.prompts import Prompt
from labkit.rouge import score
from labkit.runs import Run

USABLE = 0.9  # of a GPU's memory
RISE = 0.02  # of a loss that counts as one, in nats a token


def compared(table: Any, *labels: str) -> Check:
    """Check that a comparison has the lines that were asked for, and tell the difference of the last two.

    Args:
        table: What `compare` returned.
        labels: The lines; any two trained ones unless given.

    Returns:
        The outcome.
    """
    if not isinstance(table, Comparison):
        return Check(False, f"{str(table)[:40]!r} is no comparison: give what lk.compare returned.")
    there = [entry.label for entry in table.entries if entry.results[0].get("trainable")]
    missing = [label for label in labels if label not in there]
    if missing or len(there) < 2:
        wanted = ", ".join(missing) or "a second line"
        return Check(False, f"{wanted} is missing: {', '.join(there) or 'nothing'} was trained so far.")
    first, last = (labels or there)[0], (labels or there)[-1]
    ((later, earlier, d),) = [each for each in table.differences() if {each[0], each[1]} == {first, last}]
    verdict = "more than chance" if d.real else "it may be chance"
    return Check(True, f"{later} minus {earlier} is {d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}], {verdict}.")


def overfits(answer: Any, run: Any) -> Check:
    """Check whether a training overfits, as its validation loss has it.

    Args:
        answer: True or False.
        run: The finished run, with a validation loss at several steps.

    Returns:
        The outcome.
    """
    if not isinstance(run, Run):
        return Check(False, f"{str(run)[:40]!r} is no run: train first, and give the table's run, such as .runs[0].")
    if not isinstance(answer, bool):
        return Check(False, f"{str(answer)[:40]!r} is no answer: look at the validation loss, and say True or False.")
    losses = {line["step"]: line["validation_loss"] for line in run.history if "validation_loss" in line}
    best, last = min(losses, key=lambda step: losses[step]), max(losses)
    rose = losses[last] - losses[best]
    told = f"the validation loss was best at step {best:.0f} of {last:.0f}, and ended {rose:.3f} above that"
    return Check(answer == (rose > RISE), f"{told}.")


def better_wording(prompt: Any, best: Prompt, base: Model, data: Dialogues, rows: int = 100) -> Check:
    """Check that an instruction does better than another one on validation rows, which is where to choose it.

    Args:
        prompt: The learner's prompt.
        best: The best so far.
        base: Who writes.
        data: Whose validation rows are summarized.
        rows: How many of them.

    Returns:
        The outcome; it takes as long as summarizing them twice.
    """
    if not isinstance(prompt, Prompt):
        return Check(False, f"{str(prompt)[:40]!r} is no prompt: write lk.Prompt('...').")
    if prompt == best:
        return Check(False, "that is the best one so far: put other words in front of the instruction.")
    seen = data.head(validation=rows).validation
    ids, dialogues, references = (list(seen[name]) for name in ("id", "dialogue", "summaries"))
    yours, ours = (
        score(ids, summarize(base, dialogues, each), references).average("rouge1") for each in (prompt, best)
    )
    return Check(yours > ours, f"ROUGE-1 is {yours:.3f} with your words and {ours:.3f} with ours.")


def fits(step: Any, before: Any, needed: float, gib: float) -> Check:
    """Check that a training step fits a GPU with one setting changed, and the batch at 4 or more.

    Args:
        step: The learner's `Step`.
        before: The one that was too large.
        needed: Bytes that the learner's takes.
        gib: Memory of the GPU, of which 90 % can be used.

    Returns:
        The outcome.
    """
    changed = [name for name in vars(step) if getattr(step, name) != getattr(before, name)]
    takes = needed / 2**30
    if len(changed) != 1:
        return Check(False, f"{len(changed)} settings are changed ({', '.join(changed) or 'none'}): change one.")
    if step.batch_size < 4:
        return Check(False, f"a batch of {step.batch_size} is too small for this exercise: keep it at 4 or more.")
    if takes > USABLE * gib:
        return Check(False, f"{takes:.1f} GiB are too much for {USABLE:.0%} of {gib:.0f}: which part is the largest?")
    return Check(True, f"with {changed[0]} it takes {takes:.1f} GiB.")


def errors_counted(errors: Mapping[str, Any], summaries: int) -> Check:
    """Check that as many summaries were read as was asked.

    Args:
        errors: How many summaries have each kind of error; "good" are those without one.
        summaries: How many were to be read.

    Returns:
        The outcome; what the right counts are, nobody knows.
    """
    wrong = [kind for kind, count in errors.items() if not isinstance(count, int) or not 0 <= count <= summaries]
    if wrong:
        return Check(False, f"{errors[wrong[0]]} of {wrong[0]!r} is no count: give 0 to {summaries}.")
    if sum(errors.values()) < summaries:
        return Check(False, f"{sum(errors.values())} of {summaries} are counted: each has an error, or is good.")
    return Check(True, f"{summaries - errors.get('good', 0)} of {summaries} have an error.")
