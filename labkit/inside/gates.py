"""The gates of LLaMA-Adapter: how much each head lets in of what comes from the learned vectors."""

from collections.abc import Mapping, Sequence
from typing import Any

from labkit.errors import LabError
from labkit.models import Model


def gates(model: Model) -> dict[str, list[float]]:
    """The gate of each head, as it multiplies: behind the tanh.

    Args:
        model: With LLaMA-Adapter; all of its gates are 0 before it is trained.

    Returns:
        One number a head, -1 to 1, by layer, such as "decoder 1"; in the order of the network.

    Raises:
        LabError: The method has no gates.
    """
    from labkit.tuners.gates import read_gates

    found = read_gates(model.net)
    if not found:
        label = model.method.label if model.method else model.name
        raise LabError(f"{label} has no gates: give a model with LLaMA-Adapter")
    return found


def gates_map(gates: Mapping[str, Sequence[float]]) -> Any:
    """The gates as a map, a line a layer and a column a head: orange below 0, blue above, grey where one is shut.

    Args:
        gates: What `gates` gives.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    from labkit.inside.anatomy_plots import BOTH_SIGNS, without_grid
    from labkit.plots import style

    layers, values = list(gates), list(gates.values())
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=[f"head {head}" for head in range(len(values[0]))],
            y=layers,
            zmin=-1,
            zmax=1,
            colorscale=BOTH_SIGNS,
            colorbar={"title": "gate"},
            xgap=1,
            ygap=1,
        )
    )
    figure.update_yaxes(autorange="reversed")
    return without_grid(style(figure))
