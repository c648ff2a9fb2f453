"""How Sphinx makes the book; make_book.py puts this file beside the labs that have been run."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

project = "labkit"
html_title = "labkit"
language = "en"
extensions = ["myst_nb"]
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"  # done by make_book.py
nb_ipywidgets_js = {}  # would come from another machine
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_js_files = [("figures.js", {"defer": "defer"})]
html_copy_source = html_show_sourcelink = False
html_math_renderer = "mathml"  # MathJax would come from another machine; browsers can do without


def setup(app):
    """Write formulas as MathML."""
    app.add_html_math_renderer("mathml", (_formula("inline"), None), (_formula("block"), None))


def _formula(display):
    def visit(writer, node):
        writer.body.append(convert(node.astext(), display=display))
        raise SkipNode

    return visit
