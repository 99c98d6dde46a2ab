"""Imports point one way, and importing the package loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "dalle_app"
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the ground up. A module may import from its own layer and those before it.
LAYERS = [
    ["errors", "settings"],
    ["request", "grid", "styles", "image_models", "spending"],
    ["recipe"],
    ["resampling"],
    ["runs", "run_store", "engines"],
    ["studio", "access"],
    ["pictures", "protection", "generation"],
    ["api", "ui", "cli"],
    ["web", "__main__"],
    ["serve"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def parts(path: Path) -> list[str]:
    return list(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def imported(path: Path) -> set[str]:
    """Full names of what a module imports from the package when it runs, in functions too."""
    names = set()
    for node in running(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            if node.module == "dalle_app":
                names |= {f"dalle_app.{alias.name}" for alias in node.names}
            else:
                names.add(node.module or "")
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.startswith("dalle_app.")}


def running(node: ast.AST) -> Iterator[ast.AST]:
    """A tree's nodes, but for what stands there for the type checker alone."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from running(child)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(parts(path)[1:]))
def test_a_module_imports_only_from_its_own_layer_and_below(path):
    own = parts(path)[1]
    if own == "__init__":
        return
    assert own in LEVEL, f"say in LAYERS where {own} belongs"
    for name in imported(path):
        target = name.split(".")[1]
        if target != "__version__":
            assert LEVEL[target] <= LEVEL[own], f"{own} may not import {name}"


def test_nothing_of_the_package_knows_training_benchmarks_or_tests():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names} & {"training", "benchmarks", "tests"}


@pytest.mark.parametrize(
    "modules",
    ["dalle_app", "dalle_app.request, dalle_app.recipe, dalle_app.settings, dalle_app.studio"],
)
def test_importing_the_core_loads_neither_torch_nor_gradio_nor_openai(modules):
    heavy = "{'torch', 'gradio', 'openai', 'min_dalle', 'fastapi'} & set(sys.modules)"
    program = f"import sys, {modules}; print({heavy} or 'light')"
    shown = subprocess.run([sys.executable, "-c", program], cwd=PACKAGE.parent, check=True,
                           capture_output=True, text=True)  # fmt: skip
    assert shown.stdout.strip() == "light"


def test_every_module_says_its_role_and_what_it_does_not_know():
    for path in MODULES:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if path.name in ("__init__.py", "__main__.py"):
            continue
        assert docstring, f"{path} has no docstring"
        first, *rest = docstring.splitlines()
        assert first.endswith((".", "?", "!")), f"{path}: {first}"
        assert any(rest), f"{path} says no more than its role"
