"""A Sphinx extension that writes the API reference from the docstrings, and links it with the chapters both ways.

One scan of the chapters' code finds which public names of nnkit each chapter uses. From it come the box at the foot of
a chapter and the line "In the book" of each entry, so that neither can be forgotten or go stale.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from docutils import nodes
from numpydoc.xref import DEFAULT_LINKS
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

import nnkit
from nnkit.initializers import INITIALIZERS

_logger = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parent.parent

MODULES = {
    "module": "Modules and parameters",
    "layers": "Layers",
    "activations": "Activations",
    "losses": "Losses",
    "initializers": "Initializers",
    "optimizers": "Optimizers",
    "schedulers": "Learning-rate schedules",
    "training": "Training",
    "gradcheck": "Gradient checking",
    "metrics": "Metrics",
    "datasets": "Data",
    "checkpoint": "Checkpoints",
    "autoencoder": "Autoencoders",
    "estimators": "Networks as estimators",
    "neighbors": "Nearest neighbours",
    "svm": "Support vector machines",
    "sweep": "Sweeps",
    "plots": "Figures",
    "interact": "Labs",
}
"""The modules that have a page, in the order of the reference, and what each page is called."""

MET_THROUGH = {
    "Checkpoint": "save_checkpoint",
    "ClassCounts": "class_counts",
    "Dataset": "load_mnist",
    "GradientCheck": "check_gradients",
    "GradientReport": "check_gradients",
    "History": "fit",
    "Optimizer": "SGD",
    "SavedState": "load_checkpoint",
    "TrainingState": "Callback",
    "interact.Lab": "interact.lab",
}
"""Names that code seldom writes, since another one returns them, takes them or derives from them."""

BUILT_IN = {
    "Adam": 6,
    "Autoencoder": 9,
    "BatchNorm1d": 8,
    "Dropout": 8,
    "GaussianNoise": 12,
    "KNeighborsClassifier": 13,
}
"""The chapters of those names that another chapter uses before one builds them."""

_MEMBERS = (FunctionType, classmethod, staticmethod, property)  # What autodoc makes entries of in a class.
# What stands in front of a public name.
_PREFIX = re.compile(r"(?:nn|nnkit)\.")


@cache
def public_names() -> dict[str, str]:
    """Return each public name, as one writes it after ``nnkit.``, with the module that holds it."""
    names = {}
    for module in MODULES:
        full = f"nnkit.{module}"
        members = {name: thing for name, thing in vars(importlib.import_module(full)).items() if name[0] != "_"}
        own = [name for name, thing in members.items() if getattr(thing, "__module__", None) == full]
        exported = [name for name in own if name in nnkit.__all__ or name in nnkit._LAZY_NAMES]
        # The helpers of a module whose names nnkit exports are no part of its interface.
        names |= dict.fromkeys(exported, module) or {f"{module}.{name}": module for name in own}
    return names


def find(name: str) -> Any:
    """Return the object of a public name, or of a member of it."""
    thing: Any = nnkit
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def documented(name: str, context: Sequence[str] = ()) -> str | None:
    """Return which entry a name in a docstring means: a public one, or a documented member of a class; or None.

    `context` names the class and the module whose docstring it is.
    """
    name = _PREFIX.sub("", name.removesuffix("()"))
    for prefix in (*context, ""):
        owner, _, member = f"{prefix}.{name}".lstrip(".").rpartition(".")
        whole = f"{owner}.{member}".lstrip(".")
        if whole in public_names():
            return whole
        if owner in public_names() and inspect.isclass(find(owner)):
            for base in find(owner).__mro__:
                own = vars(base).get(member)
                if base.__name__ in public_names() and isinstance(own, _MEMBERS) and own.__doc__:
                    return f"{base.__name__}.{member}"
    return None


# ---------------------------------------------------------------------------------------------------------------------
# Which chapter uses what


@dataclass(frozen=True)
class Chapter:
    """A chapter, and the public names that its code uses."""

    number: int
    title: str
    document: str  # As Sphinx calls it
    names: frozenset[str]


def names_in(source: str) -> Iterator[str]:
    """Yield the public names that a cell uses: ``nn.fit``, ``from nnkit import fit``, ``init="zeros"``."""
    for node in ast.walk(ast.parse(source)):
        written = []
        if isinstance(node, ast.Attribute):
            written = [ast.unparse(node)]
        elif isinstance(node, ast.ImportFrom) and re.match(r"nnkit(\.|$)", node.module or ""):
            written = [f"nnkit.{alias.name}" for alias in node.names]
            written += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in INITIALIZERS:
            written = [f"nn.{node.value}"]
        for text in written:
            if _PREFIX.match(text) and _PREFIX.sub("", text) in public_names():
                yield _PREFIX.sub("", text)


@cache
def chapters() -> tuple[Chapter, ...]:
    """Scan the notebooks: their code, and what their prose names as code with ``nn.`` before it."""
    found = []
    for path in sorted((_ROOT / "book").glob("part*/*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts = ["".join(cell["source"]) for cell in cells]
        heading = re.match(r"# (\d+)\. (.+)", texts[0])
        assert heading, f"{path.name} must begin with its number and title"
        names = set()
        for cell, text in zip(cells, texts, strict=True):
            if cell["cell_type"] == "code":
                names |= set(names_in(text))
            else:
                names |= {name for name in re.findall(r"`nn\.([\w.]+)", text) if name in public_names()}
        document = path.relative_to(_ROOT).with_suffix("").as_posix()
        found.append(Chapter(int(heading[1]), heading[2], document, frozenset(names)))
    return tuple(found)


def chapters_of(name: str) -> list[Chapter]:
    """Return the chapters that use a public name, or the one through which it is met. The one that builds it leads."""
    used = [chapter for chapter in chapters() if {name, MET_THROUGH.get(name)} & chapter.names]
    return sorted(used, key=lambda chapter: (chapter.number != BUILT_IN.get(name), chapter.number))


def new_and_known(document: str) -> tuple[list[str], list[str]]:
    """Return what a chapter builds, or else uses as the first one, and what it uses besides."""
    names = [name for name in public_names() if any(document == other.document for other in chapters_of(name))]
    names = [name for name in names if name not in MET_THROUGH]
    new = [name for name in names if chapters_of(name)[0].document == document]
    return new, [name for name in names if name not in new]


# ---------------------------------------------------------------------------------------------------------------------
# What is written


def link_to(name: str, text: str | None = None) -> addnodes.pending_xref:
    """Return a link to the entry of a public name, which a nitpicky build holds to be there."""
    return addnodes.pending_xref(
        "",
        nodes.literal("", text or name, classes=["xref", "py", "py-obj"]),
        refdomain="py",
        reftype="obj",
        reftarget=f"nnkit.{name}",
        refexplicit=True,
        refwarn=True,
    )


class NameRole(SphinxRole):
    """What single backquotes mean in a docstring: a link where the name has an entry, else code.

    Most are parameters, which have none. What begins with nnkit and has none is an error.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Make the link."""
        context = [(self.env.ref_context.get(key) or "").removeprefix("nnkit.") for key in ("py:class", "py:module")]
        name = documented(self.text, [part for part in context if part not in ("", "nnkit")])
        if self.text.removeprefix("nnkit.") in MODULES and self.text.startswith("nnkit."):
            name = self.text.removeprefix("nnkit.")
        if name is not None:
            link = link_to(name, self.text)
            link["refdoc"] = self.env.docname
            return [link], []
        if re.match(r"nnkit\.\w", self.text):
            _logger.warning("no entry for `%s`", self.text, location=self.get_location())
        return [nodes.literal("", self.text)], []


class ModulePage(SphinxDirective):
    """The entries of one module: ``.. nnkit-module:: layers``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Let autodoc write them."""
        module = self.arguments[0]
        text = [f".. module:: nnkit.{module}", ""]
        docstring = inspect.getdoc(importlib.import_module(f"nnkit.{module}"))
        text += [re.sub(r"^(\w+)\n-+$", r".. rubric:: \1\n", docstring, flags=re.M), ""]
        for name in [name for name, holder in public_names().items() if holder == module]:
            kind = "class" if inspect.isclass(find(name)) else "function"
            text += [f".. auto{kind}:: nnkit.{name}", *["   :members:"][: kind == "class"], ""]
        self.env.note_dependency(f"{self.env.srcdir}/_toc.yml")  # A chapter that was not there changes it.
        self.env.note_dependency(__file__)
        for chapter in chapters():
            self.env.note_dependency(f"{self.env.srcdir}/{chapter.document}.ipynb")
        return self.parse_text_to_nodes("\n".join(text), offset=self.content_offset)


class Overview(SphinxDirective):
    """A table for each module: its names and the first sentence of each."""

    def run(self) -> list[nodes.Node]:
        """Let autosummary write them."""
        text = [".. currentmodule:: nnkit", ""]
        for module, title in MODULES.items():
            text += [f".. rubric:: :doc:`{title} </book/appendix/api/{module}>`", "   :heading-level: 2", ""]
            text += [".. autosummary::", "   :nosignatures:", ""]
            text += [f"   {name}" for name, holder in public_names().items() if holder == module]
            text += [""]
        return self.parse_text_to_nodes("\n".join(text), offset=self.content_offset)


def add_chapters(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Write into an entry, after its first paragraph, which chapters use it; and link the chapters that it names."""
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"\b([Cc]hapter )(\d+)\b", _chapter_link, line)
    used = chapters_of(name.removeprefix("nnkit.")) if name.startswith("nnkit.") else []
    if not used:
        return
    first = f":doc:`{used[0].number}. {used[0].title} </{used[0].document}>`"
    others = ", ".join(f":doc:`{chapter.number} </{chapter.document}>`" for chapter in used[1:])
    sentence = f"*In the book:* {first}" + (f"; also chapter{'s' * (len(used) > 2)} {others}." if others else ".")
    begin = next(i for i, line in enumerate(lines) if line)
    end = lines.index("", begin) if "" in lines[begin:] else len(lines)
    lines[end:end] = ["", ".. rst-class:: nnkit-chapters", "", sentence, ""]


def _chapter_link(match: re.Match[str]) -> str:
    document = next((chapter.document for chapter in chapters() if chapter.number == int(match[2])), None)
    return f":doc:`{match[1]}{match[2]} </{document}>`" if document else match[0]


def skip_requests(app: Sphinx, what: str, name: str, thing: object, skip: bool, options: object) -> bool | None:
    """Leave out the methods that scikit-learn adds to each estimator for the routing of metadata."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def add_box(app: Sphinx, doctree: nodes.document) -> None:
    """Write at the foot of a chapter which names of nnkit it uses, the new ones first."""
    document = app.env.docname
    if document not in {chapter.document for chapter in chapters()}:
        return
    box = nodes.admonition("", nodes.title("", "nnkit in this chapter"), classes=["nnkit-names"])
    for said, names in zip(("New here", "Used as well"), new_and_known(document), strict=True):
        if names:
            paragraph = nodes.paragraph("", "", nodes.strong("", said), nodes.Text(": "))
            for i, name in enumerate(names):
                link = link_to(name)
                link["refdoc"] = document
                paragraph += [nodes.Text(", "), link] if i else [link]
            paragraph += nodes.Text(".")
            box += paragraph
    next(doctree.findall(nodes.section)).append(box)


def mend_signatures(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Write the lines of a long signature as lines: Sphinx makes them a list of definitions, with nothing defined."""
    lines = {
        "<dl>": '<span class="sig-lines">',
        "</dl>": "</span>",
        "<dd>": '<span class="sig-line">',
        "</dd>": "</span>",
    }
    context["body"] = re.sub(
        r'<dt class="sig .*?</dt>',
        lambda heading: re.sub("</?d[ld]>", lambda tag: lines[tag[0]], heading[0]),
        context.get("body", ""),
        flags=re.S,
    )


def add_index(app: Sphinx, doctree: nodes.document) -> None:
    """List Sphinx's general index as the last page. It has no source file, which is all that _toc.yml can name."""
    if app.env.docname == app.config.root_doc:
        *_, last = doctree.findall(addnodes.toctree)
        last["entries"].append(("Index", "genindex"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Say how docstrings are read, and connect the steps."""
    for name in ("sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode", "numpydoc"):
        app.setup_extension(name)
    settings = {
        "add_module_names": False,
        "autodoc_inherit_docstrings": False,  # forward and backward of each layer would repeat those of Module.
        "autodoc_member_order": "bysource",
        "autodoc_preserve_defaults": True,
        "autodoc_typehints": "none",  # The section on parameters has them, with the shapes.
        "autosummary_generate": False,
        "default_role": "nnkit-name",
        "html_domain_indices": False,  # The general index has the modules too.
        "numpydoc_show_class_members": False,
        "numpydoc_xref_param_type": True,
        "numpydoc_xref_ignore": "all",  # Of the types, those of nnkit are linked; others would need the network.
        "numpydoc_xref_aliases": {
            **{name: name for name in DEFAULT_LINKS},
            **{name: f"nnkit.{name}" for name in public_names() if name[0].isupper()},
        },
        "python_maximum_signature_line_length": 80,
        "toc_object_entries_show_parents": "hide",
    }
    for name, value in settings.items():
        app.config[name] = value
    app.add_css_file("api.css")
    app.add_role("nnkit-name", NameRole())
    app.add_directive("nnkit-module", ModulePage)
    app.add_directive("nnkit-overview", Overview)
    app.connect("autodoc-process-docstring", add_chapters, priority=900)  # After numpydoc
    app.connect("autodoc-skip-member", skip_requests)
    app.connect("doctree-read", add_box)
    app.connect("html-page-context", mend_signatures)
    app.connect("doctree-read", add_index, priority=450)  # After _toc.yml was read in, before it is kept.
    return {"parallel_read_safe": True, "parallel_write_safe": True}
