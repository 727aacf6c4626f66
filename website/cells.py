"""A Sphinx extension for cells: folded code says what it holds, and the code of a claim is folded under its sentence.

A table of what was reported and what was measured is folded whole, since few readers have the reports at hand.

What a cell says follows from what it shows. A cell for which this would be wrong names itself, with
``"mystnb": {"code_prompt_show": "How ..."}`` in its metadata. In the notebooks all cells stay as they are.
"""

from __future__ import annotations

import re

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_exercise.nodes import solution_node

CLAIM = re.compile(r"(?:Claim, c|C)hecked\.")
_THEIRS = "Show code cell"
_SETUP = "Set-up: what is imported"
_CHECK = "How this is checked"
_VERDICTS = "reported_and_measured("


def name_of(source: str, output: nodes.Element | None, tags: list[str]) -> str:
    """Return what the code of a cell holds, as one would say it before unfolding it."""
    if "setup" in tags:
        return _SETUP
    if output is None:
        return _CHECK if re.search(r"^assert ", source, re.M) else "What the next cells use"
    if states_claims(output):
        return _CHECK
    if "lab" in tags:
        return "How the lab is made"
    if "touch" in tags:
        return "What to call in a notebook"
    pictures = len(list(output.findall(nodes.image)))
    if pictures:
        return "How the picture is drawn" if pictures == 1 else "How the pictures are drawn"
    tables = len(list(output.findall(nodes.table)))
    if tables:
        return "How the table is made" if tables == 1 else "How the tables are made"
    if any(isinstance(text.parent, nodes.paragraph) for text in output.findall(nodes.Text)):
        return "How these sentences get their numbers"
    return "How the numbers are computed"


def closing(name: str) -> str:
    """Return what is said above code that is open: that it folds again."""
    return "Hide the set-up" if name == _SETUP else f"Hide {name[0].lower()}{name[1:]}"


def states_claims(output: nodes.Element) -> bool:
    """Say whether a claim's sentence is among what a cell shows."""
    return any(CLAIM.match(strong.astext()) for strong in output.findall(nodes.strong))


def _part(cell: nodes.Element, name: str) -> nodes.Element | None:
    return next((child for child in cell.children if child.get("nb_element") == f"cell_code_{name}"), None)


def _is_in(node: nodes.Node, kind: type[nodes.Node]) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, kind):
            return True
    return False


class NameFolds(SphinxPostTransform):
    """Say what each folded cell holds, and fold the code of claims; in a solution it is what one looks for."""

    default_priority = 198  # Before MyST-NB folds, and after it has chosen among the forms of an output.
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        """Set what is said above the cells of a page."""
        for cell in self.document.findall(nodes.container):
            source, output = _part(cell, "source"), _part(cell, "output")
            if cell.get("nb_element") != "cell_code" or source is None:
                continue
            if output is not None and states_claims(output) and not _is_in(cell, solution_node):
                cell["hide_mode"] = "input"
                cell["below_its_sentence"] = True
            if cell.get("hide_mode") != "input":
                continue
            said = cell.get("prompt_show", _THEIRS)
            if said.startswith(_THEIRS):
                said = name_of(source.astext(), output, cell["cell_metadata"].get("tags", []))
            cell["prompt_show"], cell["prompt_hide"] = said, closing(said)


class ClaimsFirst(SphinxPostTransform):
    """Put the folded code of a claim below its sentence."""

    default_priority = 200  # After MyST-NB has folded it.
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        """Move the folded code of the cells that state a claim behind their output."""
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("below_its_sentence") and isinstance(cell.children[0], HideCodeCellNode):
                folded = cell.children[0]
                folded["classes"] = ["below-output"]
                cell.remove(folded)
                cell.append(folded)


class FoldVerdicts(SphinxPostTransform):
    """Fold what `lab.reported_and_measured` shows, with the code that makes it inside."""

    default_priority = 201
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        """Fold these cells, each with the number of its rows."""
        for cell in list(self.document.findall(nodes.container)):
            output = _part(cell, "output")
            if output is None or _VERDICTS not in cell.children[0].astext():
                continue
            table = next(iter(output.findall(nodes.tbody)), None)
            if table is None:
                continue
            rows = len(list(table.findall(nodes.row)))
            said = f"What the reports say, and what we measured: {rows} row{'s' * (rows > 1)}"
            folded = HideCodeCellNode(prompt_show=said, prompt_hide="Hide what the reports say, and what we measured")
            folded["classes"] = ["verdicts"]
            folded.extend([*cell.children[1:], cell.children[0]])
            cell.children = [folded]
            folded.parent = cell


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the steps."""
    app.add_post_transform(NameFolds)
    app.add_post_transform(ClaimsFirst)
    app.add_post_transform(FoldVerdicts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
