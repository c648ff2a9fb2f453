"""The public face: names, docstrings, and an import that costs nothing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit

PACKAGE = Path(labkit.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_all_is_sorted() -> None:
    assert labkit.__all__ == sorted(labkit.__all__)


@pytest.mark.parametrize("name", labkit.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(labkit, name).__name__ == name


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == {name: f"labkit.{home}" for name, home in labkit._HOMES.items()}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'labkit' has no attribute 'Lora'"):
        _ = labkit.Lora


def test_importing_labkit_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'transformers', 'datasets', 'peft', 'evaluate', 'accelerate', 'plotly', 'numpy'}"
    code = f"import sys, labkit; dir(labkit); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_first_cell_of_a_lab_writes_no_complaint() -> None:
    code = "import labkit; from labkit import checks, rouge; labkit.load_model('nano')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def public(node: ast.AST, path: str) -> Iterator[tuple[str, Documented]]:
    """Public functions, classes and methods under a node, with their dotted names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Documented) and not child.name.startswith("_"):
            yield f"{path}.{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{path}.{child.name}")


@pytest.mark.parametrize("file", MODULES, ids=[str(file.relative_to(PACKAGE)) for file in MODULES])
def test_every_module_and_public_function_class_and_method_has_a_docstring(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert [name for name, node in public(tree, file.stem) if not ast.get_docstring(node)] == []
