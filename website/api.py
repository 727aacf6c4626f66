"""A Sphinx extension that writes the API reference from the docstrings, and links it with the chapters both ways.

One scan of the chapters' code finds which public names of nnkit each chapter uses. From it come the box at the foot of
a chapter and the line "In the book" of each entry, so that neither can be forgotten or go stale.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pkgutil import resolve_name
from types import FunctionType
from typing import Any

from docutils import nodes
from numpydoc.xref import DEFAULT_LINKS
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from nnkit.initializers import INITIALIZERS
from website.chapters import Chapter, chapters, read_notebook

_logger = logging.getLogger(__name__)
PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "module": ("Modules and parameters", ("nnkit.module",)),
    "layers": ("Layers", ("nnkit.layers",)),
    "activations": ("Activations", ("nnkit.activations",)),
    "losses": ("Losses", ("nnkit.losses",)),
    "initializers": ("Initializers", ("nnkit.initializers",)),
    "optimizers": ("Optimizers", ("nnkit.optimizers",)),
    "schedulers": ("Learning-rate schedules", ("nnkit.schedulers",)),
    "training": ("Training", ("nnkit.training", "nnkit.callbacks", "nnkit.history")),
    "gradcheck": ("Gradient checking", ("nnkit.gradcheck",)),
    "metrics": ("Metrics", ("nnkit.metrics",)),
    "data": ("Data", ("nnkit.data",)),
    "checkpoint": ("Checkpoints", ("nnkit.checkpoint",)),
    "autoencoder": ("Autoencoders", ("nnkit.autoencoder",)),
    "estimators": ("Networks as estimators", ("nnkit.estimators.networks",)),
    "neighbors": ("Nearest neighbours", ("nnkit.estimators.neighbors",)),
    "svm": ("Support vector machines", ("nnkit.estimators.svm",)),
    "claims": ("Claims and tables", ("lab.claims", "lab.tables")),
    "results": ("Results", ("lab.results", "lab.answers")),
    "sweep": ("Sweeps", ("lab.sweep",)),
    "plots": ("Figures", ("lab.plots",)),
    "sliders": ("Labs", ("lab.sliders",)),
}
"""The pages in the order of the reference: what each is called, and the modules whose names it has."""

MET_THROUGH = {
    "nnkit.Checkpoint": "nnkit.save_checkpoint",
    "nnkit.ClassCounts": "nnkit.class_counts",
    "nnkit.Dataset": "nnkit.load_mnist",
    "nnkit.GradientCheck": "nnkit.check_gradients",
    "nnkit.GradientReport": "nnkit.check_gradients",
    "nnkit.History": "nnkit.fit",
    "nnkit.Optimizer": "nnkit.SGD",
    "nnkit.SavedState": "nnkit.load_checkpoint",
    "nnkit.TrainingState": "nnkit.Callback",
    "lab.ClaimError": "lab.claim",
    "lab.sliders.Lab": "lab.sliders.lab",
}
"""Names that code seldom writes, since another one returns them, takes them or derives from them."""

_MEMBERS = (FunctionType, classmethod, staticmethod, property)  # What autodoc makes entries of in a class.
MODULES = [module for _, modules in PAGES.values() for module in modules]
_ALIASES = {"nn": "nnkit", "plots": "lab.plots", "sliders": "lab.sliders"}
"""What chapters call a module."""


@cache
def public_names() -> dict[str, str]:
    """Return each public name, after the package or the module that one imports it from, with its page."""
    names = {}
    for page, (_, modules) in PAGES.items():
        for full in modules:
            package = importlib.import_module(full.partition(".")[0])
            members = {name: thing for name, thing in vars(importlib.import_module(full)).items() if name[0] != "_"}
            own = [name for name, thing in members.items() if str(getattr(thing, "__module__", "")).startswith(full)]
            exported = [name for name in own if getattr(package, name, None) is members[name]]
            # The helpers of a module whose names its package exports are no part of its interface.
            found = [f"{package.__name__}.{name}" for name in exported] or [f"{full}.{name}" for name in own]
            names |= dict.fromkeys(found, page)
    return names


def documented(name: str, context: Sequence[str] = ()) -> str | None:
    """Return which entry a name in a docstring means: a public one, or a documented member of a class; or None.

    `context` names the class and the module whose docstring it is.
    """
    name = _full(name.removesuffix("()"))
    for prefix in (*context, "nnkit", "lab", ""):
        whole = f"{prefix}.{name}".lstrip(".")
        if whole in public_names():
            return whole
        owner, _, member = whole.rpartition(".")
        if owner in public_names() and inspect.isclass(resolve_name(owner)):
            for base in resolve_name(owner).__mro__:
                entry = next((public for public in public_names() if resolve_name(public) is base), None)
                own = vars(base).get(member)
                if entry and isinstance(own, _MEMBERS) and own.__doc__:
                    return f"{entry}.{member}"
    return None


def _full(text: str) -> str:
    """Return dotted names with the name of the module in the place of what chapters call it."""
    first, dot, rest = text.partition(".")
    return _ALIASES.get(first, first) + dot + rest if dot else text


# ---------------------------------------------------------------------------------------------------------------------
# Which chapter uses what


def names_in(source: str) -> Iterator[str]:
    """Yield the public names that a cell uses: ``nn.fit``, ``from lab import claim``, ``init="zeros"``."""
    for node in ast.walk(ast.parse(source)):
        written = []
        if isinstance(node, ast.Attribute):
            written = [_full(ast.unparse(node))]
        elif isinstance(node, ast.ImportFrom) and node.module:
            package = node.module.partition(".")[0]
            written = [f"{place}.{alias.name}" for place in (package, node.module) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in INITIALIZERS:
            written = [f"nnkit.{node.value}"]
        yield from (name for name in written if name in public_names())


@cache
def names_of(chapter: int) -> frozenset[str]:
    """Return the public names that a chapter's code uses, and those that its prose names as code with ``nn.``."""
    names = set()
    for cell in read_notebook(chapters()[chapter - 1].path).cells:
        if cell.cell_type == "code":
            names |= set(names_in(cell.source))
        else:
            names |= {_full(name) for name in re.findall(r"`(nn\.[\w.]+)", cell.source)} & set(public_names())
    return frozenset(names)


def chapters_of(name: str) -> list[Chapter]:
    """Return the chapters that use a public name, or the one through which it is met. The one that builds it leads."""
    used = [chapter for chapter in chapters() if {name, MET_THROUGH.get(name)} & names_of(chapter.number)]
    return sorted(used, key=lambda chapter: (name.removeprefix("nnkit.") not in chapter.builds, chapter.number))


def new_and_known(document: str) -> tuple[list[str], list[str]]:
    """Return what a chapter builds, or else uses as the first one, and what it uses besides."""
    names = [name for name in public_names() if any(document == other.document for other in chapters_of(name))]
    names = [name for name in names if name not in MET_THROUGH]
    new = [name for name in names if chapters_of(name)[0].document == document]
    return new, [name for name in names if name not in new]


# ---------------------------------------------------------------------------------------------------------------------
# What is written


def shown(name: str) -> str:
    """Return a public name as one writes it after its package."""
    return name.partition(".")[2]


def link_to(name: str, text: str | None = None) -> addnodes.pending_xref:
    """Return a link to the entry of a public name, which a nitpicky build holds to be there."""
    return addnodes.pending_xref(
        "",
        nodes.literal("", text or shown(name), classes=["xref", "py", "py-obj"]),
        refdomain="py",
        reftype="obj",
        reftarget=name,
        refexplicit=True,
        refwarn=True,
    )


class NameRole(SphinxRole):
    """What single backquotes mean in a docstring: a link where the name has an entry, else code.

    Most are parameters, which have none. What begins with nnkit or lab and has none is an error.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Make the link."""
        module, owner = (self.env.ref_context.get(key) or "" for key in ("py:module", "py:class"))
        package = module.partition(".")[0]
        around = [f"{place}.{owner}".rstrip(".") for place in (module, package) if place]
        name = self.text if self.text in MODULES else documented(self.text, [*around, module])
        if name is not None:
            link = link_to(name, self.text)
            link["refdoc"] = self.env.docname
            return [link], []
        if re.match(r"(nnkit|lab)\.\w", self.text):
            _logger.warning("no entry for `%s`", self.text, location=self.get_location())
        return [nodes.literal("", self.text)], []


class ModulePage(SphinxDirective):
    """The entries of one page of the reference: ``.. nnkit-page:: layers``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Let autodoc write them."""
        page = self.arguments[0]
        text: list[str] = []
        for module in PAGES[page][1]:
            docstring = inspect.getdoc(importlib.import_module(module)) or ""
            text += [f".. module:: {module}", ""]
            text += [re.sub(r"^(\w+)\n-+$", r".. rubric:: \1\n", docstring, flags=re.M), ""]
        for name in [name for name, holder in public_names().items() if holder == page]:
            kind = "class" if inspect.isclass(resolve_name(name)) else "function"
            text += [f".. auto{kind}:: {name}", *["   :members:"][: kind == "class"], ""]
        self.env.note_dependency(f"{self.env.srcdir}/book/chapters.toml")
        self.env.note_dependency(__file__)
        for chapter in chapters():
            self.env.note_dependency(str(chapter.path))
        return self.parse_text_to_nodes("\n".join(text), offset=self.content_offset)


class Overview(SphinxDirective):
    """A table for each page: its names and the first sentence of each."""

    def run(self) -> list[nodes.Node]:
        """Let autosummary write them."""
        text: list[str] = []
        for page, (title, modules) in PAGES.items():
            text += [f".. currentmodule:: {modules[0].partition('.')[0]}", ""]
            text += [f".. rubric:: :doc:`{title} </book/appendix/api/{page}>`", "   :heading-level: 2", ""]
            text += [".. autosummary::", "   :nosignatures:", ""]
            text += [f"   {shown(name)}" for name, holder in public_names().items() if holder == page]
            text += [""]
        return self.parse_text_to_nodes("\n".join(text), offset=self.content_offset)


def add_chapters(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Write into an entry, after its first paragraph, which chapters use it; and link the chapters that it names."""
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"\b([Cc]hapter )(\d+)\b", _chapter_link, line)
    used = chapters_of(name)
    if not used:
        return
    first = f":doc:`{used[0].number}. {used[0].title} </{used[0].document}>`"
    others = ", ".join(f":doc:`{chapter.number} </{chapter.document}>`" for chapter in used[1:])
    sentence = f"*In the book:* {first}" + (f"; also chapter{'s' * (len(used) > 2)} {others}." if others else ".")
    begin = next(i for i, line in enumerate(lines) if line)
    end = lines.index("", begin) if "" in lines[begin:] else len(lines)
    lines[end:end] = ["", ".. rst-class:: nnkit-chapters", "", sentence, ""]


def _chapter_link(match: re.Match[str]) -> str:
    number = int(match[2])
    known = 1 <= number <= len(chapters())
    return f":doc:`{match[1]}{number} </{chapters()[number - 1].document}>`" if known else match[0]


def skip_requests(app: Sphinx, what: str, name: str, thing: object, skip: bool, options: object) -> bool | None:
    """Leave out the methods that scikit-learn adds to each estimator for the routing of metadata."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def add_box(app: Sphinx, doctree: nodes.document) -> None:
    """Write at the foot of a chapter which names of nnkit and lab it uses, the new ones first."""
    document = app.env.docname
    if document not in {chapter.document for chapter in chapters()}:
        return
    box = nodes.admonition("", nodes.title("", "nnkit and lab in this chapter"), classes=["nnkit-names"])
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
            **{shown(name): name for name in public_names() if shown(name)[0].isupper()},
        },
        "python_maximum_signature_line_length": 80,
        "toc_object_entries_show_parents": "hide",
    }
    for name, value in settings.items():
        app.config[name] = value
    app.add_role("nnkit-name", NameRole())
    app.add_directive("nnkit-page", ModulePage)
    app.add_directive("nnkit-overview", Overview)
    app.connect("autodoc-process-docstring", add_chapters, priority=900)  # After numpydoc
    app.connect("autodoc-skip-member", skip_requests)
    app.connect("doctree-read", add_box)
    app.connect("html-page-context", mend_signatures)
    app.connect("doctree-read", add_index, priority=450)  # After _toc.yml was read in, before it is kept.
    return {"parallel_read_safe": True, "parallel_write_safe": True}
