"""A Sphinx extension that makes links of the chapters that captions and the outputs of cells name: "chapter 9".

The text of a chapter links with roles, which captions and what code prints cannot. It is left alone: there, a chapter
without a link may be one of another book.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from website.chapters import chapters

_NAMED = re.compile(r"([Cc]hapter \d+)\b")
_WITHOUT_LINKS = (nodes.reference, addnodes.pending_xref, nodes.literal, nodes.FixedTextElement)


def add_links(app: Sphinx, doctree: nodes.document) -> None:
    """Replace each "chapter N" by a link, where it stands in a caption or in an output, and in no link yet."""
    documents = {chapter.number: chapter.document for chapter in chapters()}
    for text in list(doctree.findall(nodes.Text)):
        if not _NAMED.search(text) or not _is_said_without_roles(text):
            continue
        parts: list[nodes.Node] = []
        for part in _NAMED.split(text):
            document = documents.get(int(part.split()[1])) if _NAMED.fullmatch(part) else None
            parts.append(_link(app.env.docname, document, part) if document else nodes.Text(part))
        text.parent.replace(text, parts)


def _is_said_without_roles(text: nodes.Text) -> bool:
    around: list[nodes.Element] = []
    node: nodes.Node = text
    while node.parent is not None:
        node = node.parent
        around.append(node)
    if any(isinstance(node, _WITHOUT_LINKS) for node in around):
        return False
    return any(isinstance(node, nodes.caption) or "cell_output" in node.get("classes", ()) for node in around)


def _link(here: str, document: str, said: str) -> addnodes.pending_xref:
    return addnodes.pending_xref(
        "",
        nodes.inline("", said, classes=["std", "std-doc"]),
        refdoc=here,
        refdomain="std",
        reftype="doc",
        reftarget=f"/{document}",
        refexplicit=True,
        refwarn=True,
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the step."""
    app.connect("doctree-read", add_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
