"""A Sphinx extension that puts the definitions of a page's glossary terms on the page, to be shown beside their links.

`hover.js` shows one while its link is hovered over or has the focus. Without scripts the link leads to the glossary.
"""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

GLOSSARY = "book/appendix/glossary"
_LINK = re.compile(r'<a class="reference internal" href="[^"#]*glossary\.html#(term-[^"]+)"')


def definitions(app: Sphinx) -> dict[str, nodes.paragraph]:
    """Return the first paragraph of each term's definition, without its links, by the term's place in the glossary."""
    found = {}
    for item in app.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        paragraph = next(item.findall(nodes.paragraph)).deepcopy()
        last = paragraph.children[-1]
        if isinstance(last, nodes.Text) and last.astext().rstrip() == ")":  # "(Chapter 2)": the reader is on the way.
            while not paragraph.children[-1].astext().endswith("("):
                paragraph.pop()
            paragraph[-1] = nodes.Text(paragraph[-1].astext().rstrip("( "))
        for link in list(paragraph.findall(addnodes.pending_xref)):
            link.parent.replace(link, nodes.Text(link.astext()))
        for term in item.findall(nodes.term):
            found |= dict.fromkeys(term["ids"], paragraph)
    return found


def add_definitions(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Write the definitions of the terms that a page links to at its end, and connect each link with its own."""
    terms = sorted(set(_LINK.findall(context.get("body", ""))))
    if not terms:
        return
    if not hasattr(app.builder, "glossary_definitions"):
        app.builder.glossary_definitions = definitions(app)
    context["body"] = _LINK.sub(r'\g<0> aria-describedby="note-\1"', context["body"])
    notes = [
        f'<div class="term-note" role="tooltip" id="note-{html.escape(term)}">'
        + app.builder.render_partial(app.builder.glossary_definitions[term])["fragment"].strip()
        + "</div>"
        for term in terms
    ]
    context["body"] += f'<div class="term-notes">{"".join(notes)}</div>'


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the step."""
    app.connect("html-page-context", add_definitions)
    app.add_js_file("hover.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
