"""One JavaScript module, two homes: JupyterLab takes an ES module, and a page opened as a file can only run scripts.

Both are made from the same files by plain replacement, since these keep to a few forms: an import of names from another
file on a line, ``export`` before ``const``, ``function`` or ``class``, and ``export default {...};`` at the end.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files

_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./(\w+)\.js";.*\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|function|class) (\w+))", re.MULTILINE)
_DEFAULT = re.compile(r"^export default (\{.*\});\n?", re.MULTILINE)
_COMMENT = re.compile(r"^ *//.*\n|(?<=[;,{(\[]) +// [^\n\"'`]*$", re.MULTILINE)
_INDENT = re.compile(r"^ +", re.MULTILINE)
_BLANK = re.compile(r"\n{2,}")


def source(name: str) -> str:
    """Return the text of a file of this folder, or nothing if it is a style sheet that is not there."""
    path = files("lab.touch").joinpath(name)
    return path.read_text(encoding="utf-8") if path.is_file() or name.endswith(".js") else ""


def needs(name: str) -> list[str]:
    """Return the modules that one imports, each once."""
    return list(dict.fromkeys(found[1] for found in _IMPORT.findall(source(f"{name}.js"))))


def in_order(name: str) -> list[str]:
    """Return a module after all that it needs."""
    before = [other for needed in needs(name) for other in in_order(needed)]
    return list(dict.fromkeys([*before, name]))


@cache
def module(name: str) -> str:
    """Return a widget as the one ES module that anywidget runs, with its title, question and tries around it."""
    parts = []
    for each in dict.fromkeys([*in_order("parts"), *in_order(name)]):
        text = _EXPORT.sub("", _IMPORT.sub("", source(f"{each}.js")))
        default = f"export default framed({{ render: {each}Render }});\n" if each == name else ""
        if each == name:  # Its `render` and `settings` are every widget's names.
            text = _DEFAULT.sub("", text).replace("function render(", f"function {each}Render(", 1)
        parts.append(text + default)
    return "\n".join(parts)


def style(name: str) -> str:
    """Return the style sheet of a widget: that of the parts, and its own."""
    return source("touch.css") + source(f"{name}.css")


@cache
def script(name: str) -> str:
    """Return a module as a script for a page, which needs neither a server nor a module loader.

    It gives itself to ``nnkitTouch.define`` of ``website/static/touch.js``, with the names of what it needs.
    """
    text, wanted = source(f"{name}.js"), needs(name)
    exported = [each[0] if isinstance(each, tuple) else each for each in _EXPORT.findall(text)]
    takes = [f"const {{ {names} }} = {other}Module;" for names, other in _IMPORT.findall(text)]
    gives = f"return {{ {', '.join(exported)} }};"
    body = _DEFAULT.sub("", _EXPORT.sub("", _IMPORT.sub("", text)))
    lean = _BLANK.sub("\n", _INDENT.sub("", _COMMENT.sub("", body)))
    lines = "\n".join([*takes, lean, gives])
    given = ", ".join(f"{other}Module" for other in wanted)
    return f"nnkitTouch.define({json.dumps(name)}, {json.dumps(wanted)}, ({given}) => {{\n{lines}\n}});\n"
