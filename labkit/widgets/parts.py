"""What the panels are made of: dials, tables, charts and texts that follow the theme and work from a keyboard."""

import json
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import anywidget
import ipywidgets as widgets
import traitlets

# plotly's "share" button would upload the chart
# with the label as wide, too, so that what stands below one another is in line
AS_WIDE_AS_A_DIAL: dict[str, Any] = {"style": {"description_width": "164px"}, "layout": {"width": "384px"}}
CONFIG = {"displaylogo": False, "showSendToCloud": False}
FRONT = Path(__file__).parent / "front"  # what runs in the browser


class Heading(anywidget.AnyWidget):
    """A panel's heading, which also keeps the notebook's one-letter commands from keys that are meant for the panel."""

    _esm = FRONT / "heading.js"
    _css = FRONT / "heading.css"
    text = traitlets.Unicode().tag(sync=True)


class Panel(widgets.VBox):  # type: ignore[misc]
    """A heading over whatever a panel shows."""

    def __init__(self, title: str, *children: Any):
        super().__init__([Heading(text=title), *children])
        self.add_class("labkit-panel")
        self.layout.max_width = "880px"


class Dial(anywidget.AnyWidget):
    """A slider and a number box for one value, as the browser's own controls: named, and turned with arrow keys.

    Args:
        label: Its name.
        value: Where it stands.
        low: Lowest value.
        high: Highest value.
        step: From one value to the next; a dial with a whole step has whole values.
        on_change: Called with the new value.
    """

    _esm = FRONT / "dial.js"
    _css = FRONT / "dial.css"
    label = traitlets.Unicode().tag(sync=True)
    value = traitlets.Float().tag(sync=True)
    low = traitlets.Float().tag(sync=True)
    high = traitlets.Float().tag(sync=True)
    step = traitlets.Float().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        label: str,
        value: float,
        low: float,
        high: float,
        step: float = 1,
        on_change: Callable[[Any], Any] | None = None,
    ):
        super().__init__(label=label, value=value, low=low, high=high, step=step)
        if on_change:
            self.observe(lambda _: on_change(self.number), "value")

    @traitlets.validate("value")
    def _within(self, proposal: Any) -> float:
        return min(max(float(proposal["value"]), self.low), self.high)

    @property
    def number(self) -> Any:
        """The value, whole where the step is."""
        return round(self.value) if self.step == int(self.step) else self.value


class Column(NamedTuple):
    """A column of a table: its title, and how a value of it is written ("{:.3f}")."""

    title: str
    form: str = "{}"


class Table(anywidget.AnyWidget):
    """A table that sorts by the column whose title is pressed, and is saved as CSV.

    Args:
        columns: Titles, or columns with the form of their values.
        rows: A value a column; None stays empty. Text is shown as text, never as markup.
        caption: What the table says.
        file: Name of the CSV file; without one nothing is saved.
    """

    _esm = FRONT / "table.js"
    _css = FRONT / "table.css"
    titles: Any = traitlets.List().tag(sync=True)
    cells: Any = traitlets.List().tag(sync=True)
    values: Any = traitlets.List().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    file = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        columns: Sequence[str | Column] = (),
        rows: Sequence[Sequence[Any]] = (),
        caption: str = "",
        file: str = "",
    ):
        super().__init__(caption=caption, file=file)
        self.show(columns, rows)

    def show(self, columns: Sequence[str | Column], rows: Sequence[Sequence[Any]]) -> None:
        """Show other rows."""
        all_columns = [Column(each) if isinstance(each, str) else each for each in columns]
        written = [
            ["" if v is None else c.form.format(v) for c, v in zip(all_columns, row, strict=True)] for row in rows
        ]
        with self.hold_sync():
            self.titles = [column.title for column in all_columns]
            self.cells = written
            self.values = [list(row) for row in rows]


class Chart(widgets.Output):  # type: ignore[misc]
    """A plotly figure, drawn by the renderer that JupyterLab has of plotly's.

    Not a FigureWidget: each of those sends plotly's whole script, 5 MB, and loses traces that came later when the
    page is reloaded. Here a figure is what is in it, sent anew; keep it to a few hundred points.

    Args:
        height: In pixels.
    """

    def __init__(self, height: int = 320):
        super().__init__(layout=widgets.Layout(height=f"{height + 10}px", width="100%", margin="0", overflow="hidden"))
        self.height = height

    def show(self, figure: Any) -> None:
        """Draw a figure in the place of the one before."""
        figure.update_layout(height=self.height)
        drawn = json.loads(figure.to_json()) | {"config": CONFIG}
        data = {"application/vnd.plotly.v1+json": drawn, "text/plain": "a chart; its table has the same numbers"}
        self.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)


def html(markup: str) -> widgets.HTML:
    """A piece of markup; whoever calls this has escaped what is not the package's own."""
    return widgets.HTML(markup)


def note(text: str) -> widgets.HTML:
    """A line of plain text, whatever is in it."""
    return html(f"<p style='margin: 4px 0'>{escape(text)}</p>")


def say(line: widgets.HTML, text: str) -> None:
    """Put another text into a note."""
    line.value = note(text).value


def choice(label: str, options: Sequence[Any], value: Any = None, on_change: Callable[[Any], Any] | None = None) -> Any:
    """A list to choose from; `options` are values or (text, value) pairs."""
    chosen = {"value": value} if value is not None else {}
    drop = widgets.Dropdown(options=options, description=label, **AS_WIDE_AS_A_DIAL, **chosen)
    if on_change:
        drop.observe(lambda change: on_change(change["new"]), "value")
    return drop


def button(text: str, on_click: Callable[[], Any], *, main: bool = False, disabled: bool = False) -> widgets.Button:
    """A button; `main` for the one that a panel is about."""
    made = widgets.Button(description=text, button_style="primary" if main else "", disabled=disabled)
    made.layout.width = "auto"
    made.on_click(lambda _: on_click())
    return made


def row(*children: Any) -> widgets.HBox:
    """Things side by side, on the next line where there is no room."""
    return widgets.HBox(list(children), layout=wrapped())


def wrapped() -> widgets.Layout:
    """The layout of a row."""
    return widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 8px")
