"""What training adds to the hidden representation: h of the base beside h' of the tuned model, layer by layer.

dialogue            -> encoder -> h of each position after the embeddings and each layer
reference (teacher) -> decoder -> the same, so that both models have read the same words
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from labkit.batches import collator, encode_rows, encode_tasks
from labkit.errors import LabError
from labkit.generation import eval_mode
from labkit.intervals import FloatArray, bootstrap
from labkit.models import Model

STACKS = ("encoder", "decoder")
MEASURES = ("change", "cosine")


@dataclass(frozen=True, eq=False)
class HiddenChanges:
    """How far the hidden states of a tuned model are from its base's, per dialogue.

    Attributes:
        ids: The n dialogues.
        change: ||h' - h|| / ||h||, averaged over the positions of a dialogue: for "encoder" and "decoder" an array of
            shape (layers + 1, n); the first line is the embeddings, the last one comes after the final norm.
        cosine: cos(h, h') in -1..1, averaged and shaped the same.
    """

    ids: tuple[str, ...]
    change: dict[str, FloatArray]
    cosine: dict[str, FloatArray]

    def rows(self) -> list[dict[str, Any]]:
        """A dict a layer: stack, layer, and the means over the dialogues with their 95 % bootstrap intervals."""
        rows = []
        for stack, lines in self.change.items():
            for number, name in enumerate(_layer_names(len(lines))):
                row: dict[str, Any] = {"stack": stack, "layer": name}
                for measure in MEASURES:
                    values = getattr(self, measure)[stack][number]
                    row |= {measure: float(values.mean()), f"{measure}_interval": list(bootstrap(values))}
                rows.append(row)
        return rows

    def plot(self) -> Any:
        """Change and cosine over the layers with their intervals, as a plotly figure."""
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots

        from labkit.plots import COLORS, style

        figure = make_subplots(1, 2, horizontal_spacing=0.14)
        rows = self.rows()
        for column, (measure, title) in enumerate(zip(MEASURES, ("||h' - h|| / ||h||", "cos(h, h')"), strict=True), 1):
            for stack, color in zip(self.change, COLORS, strict=False):
                lines = [row for row in rows if row["stack"] == stack]
                means = np.array([row[measure] for row in lines])
                lows, highs = np.array([row[f"{measure}_interval"] for row in lines]).T
                error = {"type": "data", "symmetric": False, "array": highs - means, "arrayminus": means - lows}
                look = {"name": stack, "legendgroup": stack, "showlegend": column == 1, "marker_color": color}
                names = [row["layer"] for row in lines]
                figure.add_trace(go.Scatter(x=names, y=means, error_y=error, mode="lines+markers", **look), 1, column)
            figure.update_xaxes(title_text="after", row=1, col=column)
            figure.update_yaxes(title_text=title, row=1, col=column)
        return style(figure)


def hidden_changes(base: Model, tuned: Model, rows: Any, *, batch_size: int = 16) -> HiddenChanges:
    """Compare the hidden states of two models on the same dialogues and references.

    Virtual tokens have no counterpart in the base: their positions are left out, as is padding. The decoder reads the
    first reference, or a task's right answer, whatever the models would write themselves.

    Args:
        base: The model that was trained from.
        tuned: The same with a method.
        rows: Rows with `id`, `dialogue` and `summaries`, such as `data.test.select(range(50))`; or tasks of the
            pre-training, as `load_tasks` gives them.
        batch_size: Dialogues at a time.

    Returns:
        Relative change and cosine of each layer, for each dialogue.

    Raises:
        LabError: There are fewer than two rows, or the models differ in width or number of layers.
    """
    if len(rows) < 2:
        raise LabError(f"no interval from {len(rows)} dialogue(s): give at least 2 rows")
    if (ours := _sizes(base)) != (theirs := _sizes(tuned)):
        raise LabError(f"the models differ in width and layers, {ours} and {theirs}: give the base of the tuned model")
    # by the tuned model, whose virtual tokens leave less room
    tasks = isinstance(rows, list)
    encoded = encode_tasks(tuned, rows) if tasks else encode_rows(tuned, rows)[0]
    ids = [f"task_{number}" for number in range(len(rows))] if tasks else rows["id"]
    batches = [encoded[start : start + batch_size] for start in range(0, len(encoded), batch_size)]
    parts = [_compared(base, tuned, collator(tuned)(batch)) for batch in batches]
    change, cosine = ({s: np.concatenate([p[s][i] for p in parts], axis=1) for s in STACKS} for i in (0, 1))
    return HiddenChanges(tuple(ids), change, cosine)


def _compared(base: Model, tuned: Model, batch: Any) -> dict[str, FloatArray]:
    """Change and cosine in each stack, shape (2, layers + 1, rows): averaged over the positions that count."""
    masks = {"encoder": batch["attention_mask"].numpy() == 1, "decoder": batch["labels"].numpy() != -100}
    first, second = _forward(base, batch), _forward(tuned, batch)
    return {
        stack: np.stack([_layer(h, new, masks[stack]) for h, new in zip(first[stack], second[stack], strict=True)], 1)
        for stack in STACKS
    }


def _layer(h: Any, new: Any, mask: Any) -> FloatArray:
    # virtual tokens stand in front, so the last positions are the dialogue's
    h, new = (each[:, -mask.shape[1] :].double().cpu().numpy() for each in (h, new))
    length = np.linalg.norm(h, axis=-1)
    change = np.linalg.norm(new - h, axis=-1) / length
    cosine = (h * new).sum(-1) / (length * np.linalg.norm(new, axis=-1))
    return np.stack([np.where(mask, each, 0).sum(-1) / mask.sum(-1) for each in (change, cosine)])


def _forward(model: Model, batch: Any) -> dict[str, Any]:
    import torch

    inputs = {name: values.to(model.device) for name, values in batch.items()}
    with eval_mode(model.net), model.arithmetic(), torch.inference_mode():
        out = model.net(**inputs, output_hidden_states=True)
    return {stack: out[f"{stack}_hidden_states"] for stack in STACKS}


def _sizes(model: Model) -> tuple[int, int, int]:
    config = model.net.config
    return config.d_model, config.num_layers, config.num_decoder_layers


def _layer_names(count: int) -> list[str]:
    return ["embeddings", *(f"layer {number}" for number in range(count - 2)), f"layer {count - 2}, normed"]
