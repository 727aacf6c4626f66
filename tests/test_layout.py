"""Allowed imports: book -> lab -> nnkit; website, tools and benchmarks may import these but not be imported."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "nnkit": set(),
    "lab": {"nnkit"},
    "book": {"lab", "nnkit"},
    "website": {"lab", "nnkit"},
    "tools": {"book", "lab", "nnkit", "website"},
    "benchmarks": {"book", "lab", "nnkit", "website"},
}
# The benchmark times the three programs that a chapter shows; it may import nothing else from the book.
OF_THE_BOOK = {"benchmarks": "book.frameworks"}


def sources(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the dotted name and the code of each module and notebook below a folder."""
    for path in sorted(folder.rglob("*")):
        name = ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__")
        if path.suffix == ".py":
            yield name, path.read_text(encoding="utf-8")
        elif path.suffix == ".ipynb" and ".ipynb_checkpoints" not in path.parts:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            yield name, "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def imported(code: str) -> Iterator[str]:
    """Yield each dotted name that the code imports, at any level."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(modules: dict[str, str]) -> list[str]:
    """Return the import violations in these modules, given with their code."""
    found = []
    for module, code in modules.items():
        folder = module.partition(".")[0]
        for name in imported(code):
            other, *parts = name.split(".")
            if other not in MAY_IMPORT:
                continue
            if other != folder:
                if other not in MAY_IMPORT[folder]:
                    found.append(f"{module} imports {name}: {folder} may import {sorted(MAY_IMPORT[folder])}")
                if other == "book" and not name.startswith(OF_THE_BOOK.get(folder, "")):
                    found.append(f"{module} imports {name}: {folder} may import only {OF_THE_BOOK[folder]}")
            private = next((i for i, part in enumerate(parts, 1) if re.match("_(?!_)", part)), None)
            if private and folder_of(".".join([other, *parts][:private])) != folder_of(module):
                found.append(f"{module} imports {name}, which is private")
    return found + [f"import cycle: {' -> '.join(circle)}" for circle in circles(modules)]


def folder_of(module: str) -> str:
    """Return the dotted name of a module's folder; a package is its own folder."""
    return module if (ROOT / module.replace(".", "/")).is_dir() else module.rpartition(".")[0]


def circles(modules: dict[str, str]) -> list[list[str]]:
    """Return the import cycles among these modules, as the first such path from each."""
    graph: dict[str, set[str]] = {}
    for module, code in modules.items():
        top = [node for node in ast.parse(code).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {name for node in top for name in imported(ast.unparse(node))}
        graph[module] = {part for name in names for part in (name, name.rpartition(".")[0]) if part in modules}
    found, done = [], set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in done:
            for other in sorted(graph[module] - {module}):
                # A package loads its modules, which may refer to it: `from nnkit.data import formats`.
                if not module.startswith(f"{other}."):
                    visit(other, [*path, module])
            done.add(module)

    for module in graph:
        visit(module, [])
    return found


@pytest.fixture(scope="module")
def modules() -> dict[str, str]:
    return {name: code for folder in MAY_IMPORT for name, code in sources(ROOT / folder)}


def test_imports_point_one_way_and_private_names_stay_in_their_folder(modules):
    assert {"nnkit.layers", "lab.claims", "book.experiments.xor_seeds", "tools.execute"} <= set(modules)
    assert faults(modules) == []


@pytest.mark.parametrize(
    ("module", "code", "fault"),
    [
        ("nnkit.layers", "from lab import claim", "nnkit.layers imports lab.claim"),
        ("lab.claims", "def f():\n    from book.replication import reading", "lab.claims imports book.replication"),
        ("book.part1.01", "import benchmarks.report", "book.part1.01 imports benchmarks.report"),
        ("benchmarks.cases", "from book.experiments import mnist_grid", "benchmarks may import only book.frameworks"),
        ("lab.claims", "from nnkit._divergence import x", "imports nnkit._divergence.x, which is private"),
        ("lab.claims", "from nnkit.module import _x", "imports nnkit.module._x, which is private"),
        (
            "nnkit.data.toy",
            "from nnkit._hidden import x\nfrom nnkit.estimators._base import y",
            "nnkit.estimators._base",
        ),
    ],
)
def test_planted_violation_is_found(module, code, fault):
    assert any(fault in text for text in faults({module: code}))


def test_planted_cycle_is_found():
    planted = {"lab.a": "from lab import b", "lab.b": "import lab.c", "lab.c": "from lab.a import x"}
    assert faults(planted) == ["import cycle: lab.a -> lab.b -> lab.c -> lab.a"]
    planted["lab.c"] = "def later():\n    from lab.a import x"
    assert faults(planted) == []


def test_book_folder_holds_only_pages_and_what_they_need():
    there = {path.name for path in (ROOT / "book").iterdir() if path.name not in ("__pycache__", ".ipynb_checkpoints")}
    parts = {name for name in there if re.fullmatch(r"part\d-[\w-]+", name)}
    rest = {"__init__.py", "appendix", "chapters.toml", "experiments", "frameworks", "index.md", "questions.toml"}
    rest |= {"references.bib"}
    kept = {name for name in there if name.startswith("results")}
    assert there - parts - kept == rest | {"replication", "reported.toml"}
