"""Find numbers in the book's prose that look measured, and compare them with the list of numbers that may be typed.

``python -m tests.book.prose`` prints an entry for each number that is not on the list, ready to paste.
"""

from __future__ import annotations

import ast
import html
import io
import json
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("typed_numbers.toml")
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("README.md", "book/*.md", "book/*/*.md", "book/*/*.ipynb")
    for path in ROOT.glob(pattern)
)

KINDS = {
    "hyperparameter": "chosen by us before anything ran: a setting, a threshold, a confidence level",
    "example": "made up for a question or an argument",
    "exact": "follows from mathematics or a definition; say from what, as in 'exact: 3 of 4'",
    "reported": "stated by one of the sources; say where, as in 'reported: B, table 6'",
    "published": "from the literature; name its entry in references.bib, as in 'published: lecun98'",
}
"""The kinds of typed numbers. There is no kind for a measured number, since code prints those."""

MAX_ENTRY = 120  # A longer entry would cover sentences that have not been reviewed.
PLACEHOLDER = "…"  # Replaces code in prose, and numbers that code fills in.


@dataclass(frozen=True)
class Passage:
    """A paragraph, caption, alternative text, string or comment, as the reader sees it, on one line."""

    where: str
    text: str
    all_numbers: bool = False  # Whether even a small whole number has to be on the list.


@dataclass(frozen=True)
class Number:
    """A number that looks measured."""

    passage: Passage
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.passage.text[self.start : self.end]


# ---------------------------------------------------------------------------------------------------------------------
# Which numbers look measured

DIGITS = r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_WORD = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|"
    rf"nineteen|(?:{_TENS})-one|{_TENS}|hundred|thousand|million"
)
# "One" can start a number, as in "one hundred", but does not count alone: it is too common a word.
WORDS = rf"\b(?:one[- ])?(?:{_WORD})(?:[- ](?:{_WORD}))*\b"
COUNT = rf"(?:{DIGITS}|{WORDS})"
PART = r"(?:third|quarter|fifth|sixth|seventh|eighth|ninth|tenth|hundredth|(?:ten-)?thousandth|millionth)"

PATTERNS = [
    re.compile(pattern, re.I)
    for pattern in (
        # 0.97, .97, 3.2e-5; but not 4.4.1
        r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d*)\.\d+(?:e[-+]?\d+)?(?!\d|\.\d)",
        # 1e-7, 10^{-7}, 3 x 10^5, 10⁻⁷
        r"(?<![\w.])\d+e[-+]?\d+\b|(?<!\w)10 ?\^ ?(?:\d|\{[-+]?\d+\})|(?<!\w)10[⁻⁰¹²³⁴-⁹]+",
        # 97 %, 97 percent, ninety-seven per cent, 2 percentage points
        rf"{COUNT} ?%|{COUNT}[- ]per ?cent|{COUNT} percentage",
        # 996 of 1,000; 97 digits out of 100; nine of ten; 12 in 10,000; 996/1000
        rf"(?:{COUNT}|\bone(?= (?:out )?of \d)) (?:\w+ out of|out of|of) (?:(?:the|all|our|its|these|every) )?{COUNT}",
        rf"{DIGITS} (?:\w+ )?in (?:every )?{DIGITS}|{DIGITS} ?/ ?{DIGITS}|\\d?frac\{{\d+\}}\{{\d\d+\}}",
        # 3 s, ten seconds, 40 µs, 11 MB, 1.7 times, 10-fold, 3x faster; but not 28 x 28
        rf"{COUNT}[- ]?(?:seconds?|minutes?|hours?|days?|(?:milli|micro|nano)seconds?|times|fold)\b",
        rf"{DIGITS} ?(?:s|sec|ms|[µμu]s|ns|min|[kKMGT]i?B|bytes|[GMT]?FLOPS?)\b(?!\()",
        rf"{DIGITS} ?\N{{MULTIPLICATION SIGN}}(?! ?(?:[\d\\(]|[a-z](?:\b|_)))",
        rf"{DIGITS} ?x (?:as|faster|slower|larger|smaller|more|less|speed)",
        # six tenths, a few ten-thousandths, a seventh of; twice as fast
        rf"(?:{COUNT}|\bone|\bsome|\bseveral|\bfew)[- ]{PART}s\b",
        rf"\b(?:an?|one) {PART} (?:of|as|less|more|faster|slower)\b",
        r"\b(?:twice|half) as\b",
        # some 40, about 300, more than half, an accuracy of 97; but not close to 0 or 1
        r"(?:\b(?:about|some|roughly|nearly|around|almost|approximately|circa|close to|below|above|"
        rf"(?:more|less|fewer) than)|[~≈]) ?(?![01]\b(?!\.\d))(?:{COUNT}|half\b)",
        rf"\b(?:accuracy|loss|error|score|recall|precision) (?:is|of|at|near|to|reaches) {DIGITS}\b"
        r"(?! ?[(\\]| (?:runs|starts|models|networks))",
        # by epoch 8 to 10: a place on a curve
        rf"\b(?:epoch|iteration)s? {DIGITS}(?:(?: to | and | or |-){DIGITS})?",
    )
]
# Numbers that are names (Python 3.11, chapter 3, tables 4 to 6, CC BY 4.0), and the interval of every claim.
NAMES = re.compile(
    r"\b(?:python|numpy|version|licen[cs]e|CC BY(?:-\w+)*|chapter|section|part|fig\.|figure|table|equation|exercise|"
    r"experiment|volume|page)s? \d+(?:\.\d+)*(?:(?:, | and | to |-)\d+(?:\.\d+)*)*|\b95 % (?:confidence )?intervals?",
    re.I,
)
WHOLE = re.compile(rf"{DIGITS}(?!\w|[.,]\d)")


def _looks_exact(digits: str) -> bool:
    """Return whether a whole number is small, round, or a year: 400, 5,000, 2015."""
    if re.fullmatch(r"(?:19|20)\d\d", digits):
        return True
    value = digits.replace(",", "")
    return len(value) < 4 or len(value.rstrip("0")) < 3


def numbers(passage: Passage) -> list[Number]:
    """Return the numbers of a passage that look measured, in order."""
    text = passage.text
    spans = [match.span() for pattern in PATTERNS for match in pattern.finditer(text)]
    spans += [match.span() for match in WHOLE.finditer(text) if passage.all_numbers or not _looks_exact(match[0])]
    names = [match.span() for match in NAMES.finditer(text)]
    found: list[Number] = []
    for start, end in sorted(spans):
        if any(low <= start and end <= high for low, high in names):
            continue
        if found and start < found[-1].end:
            found[-1] = Number(passage, found[-1].start, max(end, found[-1].end))
        else:
            found.append(Number(passage, start, end))
    return found


# ---------------------------------------------------------------------------------------------------------------------
# What the reader sees

LATEX = {
    r"~\%": " %",
    r"\,": "",
    r"\;": " ",
    r"\%": "%",
    "{,}": ",",
    "{}": "",
    r"\times": "\N{MULTIPLICATION SIGN}",
    r"\cdot": "·",
    r"\approx": "≈",
    r"\sim": "~",
}


def plain(text: str) -> str:
    """Return text as the reader sees it: without code, targets and markup, with one kind of space and dash."""
    text = re.sub(r"<!--.*?-->", " ", text, flags=re.S)
    text = re.sub(r"\{math\}`([^`]*)`", r"\1", text)
    text = re.sub(r"\{[\w:.-]+\}`([^`<]*?)\s*<[^`]*>`", r"\1", text)  # {doc}`words <target>`
    text = re.sub(r"(?:\{[\w:.-]+\})?(`+)(?!`).*?(?<!`)\1(?!`)", PLACEHOLDER, text, flags=re.S)
    text = re.sub(r"\]\([^)\s]*(?: \"[^\"]*\")?\)", "]", text)
    text = re.sub(r"<?https?://[^\s>)]+>?|</?[a-z]\w*(?:\s[^<>]*)?/?>", " ", text)
    text = re.sub(r"\$\$ *\([\w-]+\)", "$$", text)
    for latex, sign in LATEX.items():
        text = text.replace(latex, sign)
    text = re.sub("[\N{MINUS SIGN}\N{EN DASH}\N{NON-BREAKING HYPHEN}]", "-", html.unescape(text))
    return re.sub(r"\s+", " ", re.sub(r"[$*]|(?<!\w)_(?=\w)|\\(?=\s)", "", text)).strip()


def paragraphs(markdown: str) -> Iterator[tuple[int, str]]:
    """Yield each paragraph, list item and table row of a text, with its starting line."""
    block: list[str] = []
    start = 0
    directives: list[str] = []  # The fences of open directives, innermost last. Their content is prose;
    code = ""  # the content of an open code fence is not.
    for i, line in enumerate(markdown.splitlines(), 1):
        fence = re.match(r"\s*(`{3,}|~{3,}|:{3,})(\{?)([\w:.+-]*)\}?\s*(.*)", line)
        if code:
            if fence and fence[1].startswith(code) and not fence[3]:
                code = ""
            continue
        option = re.match(r"\s*:([\w-]+):(?:\s+(.*)|$)|\s*\([^\s()]+\)=\s*$", line)
        if block and (fence or option or not line.strip() or re.match(r"\s*([-+*|:]|\d+[.)]|#+)(\s|$)", line)):
            yield start, "\n".join(block)
            block = []
        if fence:
            line = ""
            if not fence[3] and fence[1] in directives:
                del directives[directives.index(fence[1]) :]
            elif not fence[2] or fence[3].startswith(("code", "bibliography", "literalinclude", "raw")):
                code = fence[1]
            else:
                directives.append(fence[1])
                # The argument is a title unless it names a file or a label.
                line = "" if fence[3].startswith(("figure", "image", "include", "solution")) else fence[4]
        elif option:
            line = option[2] if option[1] in ("alt", "caption", "title") else ""
        line = re.sub(r"^\s*(#+\s+(\d+(\.\d+)*\.?\s)?|[-+*:]\s|\d+[.)]\s)", "", line or "")
        if line.strip():
            start = start if block else i
            block.append(line)
    if block:
        yield start, "\n".join(block)


_FORMAT = re.compile(r"\{(?:[A-Za-z_]\w*|\d*(?=:))(?::[^{}]*)?\}")  # A placeholder for str.format.


def _strings(node: ast.AST) -> Iterator[str]:
    """Yield the string literals in part of a program."""
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else PLACEHOLDER for part in node.values]
        yield _FORMAT.sub(PLACEHOLDER, "".join(map(str, parts)))
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from _strings(part.value)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield _FORMAT.sub(PLACEHOLDER, node.value)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _strings(child)


def _calls(tree: ast.AST, name: str) -> list[ast.Call]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", None)) == name]


def code_passages(source: str, where: str) -> Iterator[Passage]:
    """Yield the prose in a code cell: comments, and every string that contains a space.

    In the rows of ``reported_and_measured``, the reported column is skipped, and a measured column that is just a
    string may contain no number at all.
    """
    source = "\n".join("" if re.match(r"[%!]", line) else line for line in source.splitlines())
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Passage(f"{where}, comment", plain(token.string.lstrip("# ")))
    tree = ast.parse(source)
    if _calls(tree, "reported_and_measured"):
        for row in ast.walk(tree):
            if isinstance(row, ast.Tuple) and len(row.elts) == 5:
                for text in _strings(row.elts[2]):
                    typed = isinstance(row.elts[2], ast.Constant)
                    yield Passage(f"{where}, measured column", plain(text), all_numbers=typed)
                row.elts = [row.elts[0], row.elts[4]]
    for call in _calls(tree, "claim"):
        for argument in [*call.args[:1], *(k.value for k in call.keywords if k.arg == "sentence")]:
            for text in _strings(argument):
                yield Passage(f"{where}, claim", plain(text))
        call.args = call.args[1:]
        call.keywords = [keyword for keyword in call.keywords if keyword.arg != "sentence"]
    for text in _strings(tree):
        if " " in text.strip():
            yield Passage(f"{where}, string", plain(text))


def _texts(value: object, name: str) -> Iterator[tuple[str, str]]:
    """Yield the name and content of each text in a cell's metadata."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, str(key))
    elif isinstance(value, str) and name in ("caption", "alt"):
        yield {"caption": "caption", "alt": "alternative text"}[name], value


_LEVEL = re.compile(r"^\*(?:Warm-up|Core|Stretch), \d+ minutes[^*]*\* ")  # of an exercise
_PENCIL = re.compile(r"^## With a pencil$.*?(?=^## |\Z)", re.M | re.S)


def notebook_passages(notebook: nbformat.NotebookNode) -> Iterator[Passage]:
    """Yield the prose in a notebook, except the example that is carried through on paper: nothing in it is measured."""
    for i, cell in enumerate(notebook.cells, 1):
        where = f"cell {i}"
        if cell.cell_type == "markdown":
            for _, text in paragraphs(_PENCIL.sub("", cell.source)):
                yield Passage(where, plain(_LEVEL.sub("", text)))
        else:
            yield from code_passages(cell.source, where)
        for name, text in _texts(cell.metadata.get("mystnb", {}), ""):
            yield Passage(f"{where}, {name}", plain(text))


def passages(source: str) -> list[Passage]:
    """Return the prose of one of `SOURCES`."""
    path = ROOT / source
    if path.suffix == ".ipynb":
        return list(notebook_passages(nbformat.read(path, as_version=4)))
    text = path.read_text(encoding="utf-8")
    return [Passage(f"line {line}", plain(paragraph)) for line, paragraph in paragraphs(text)]


# ---------------------------------------------------------------------------------------------------------------------
# The list of numbers that may be typed

Entries = dict[str, str]
"""Maps a few words around a number to the kind of number."""


def load_list() -> dict[str, Entries]:
    """Return the entries for each file."""
    return tomllib.loads(LIST.read_text(encoding="utf-8"))


def unlisted(prose: list[Passage], entries: Entries) -> list[Number]:
    """Return the numbers that no entry covers."""
    return [number for passage in prose for number in numbers(passage) if not _vouching(number, entries)]


def _vouching(number: Number, entries: Entries) -> list[str]:
    """Return the entries whose words match the text around a number."""
    text = number.passage.text
    found = []
    for entry in entries:
        for match in re.finditer(re.escape(plain(entry)), text):
            if match.start() <= number.start and number.end <= match.end():
                found.append(entry)
                break
    return found


def proposals(missing: list[Number]) -> dict[str, str]:
    """Return entries that would cover the numbers, with their locations. Numbers close together share an entry."""
    windows: list[tuple[Passage, int, int]] = []
    for number in missing:
        start, end = _window(number)
        if windows and windows[-1][0] is number.passage:
            _, last_start, last_end = windows[-1]
            if start <= last_end and end - last_start <= MAX_ENTRY * 2 // 3:
                windows.pop()
                start = last_start
        windows.append((number.passage, start, end))
    return {passage.text[start:end].strip().rstrip(".,;:?!"): passage.where for passage, start, end in windows}


def _window(number: Number) -> tuple[int, int]:
    """Return the start and end of a few words around a number: within its sentence, unless that is too short."""
    text = number.passage.text
    sentence = max((match.end() for match in re.finditer(r"[.?!:] (?=\S)", text[: number.start])), default=0)
    start = number.start - len(" ".join(text[sentence : number.start].split(" ")[-5:]))
    after = re.match(r"\S*(?:(?<![.?!:]) \S+){0,3}", text[number.end :])
    end = number.end + (after.end() if after else 0)
    while not _has_context(text[start:end]) and (start > 0 or end < len(text)):
        start = max(0, text.rfind(" ", 0, max(0, start - 1)) + 1)
        end = text.find(" ", end + 1) if " " in text[end + 1 :] else len(text)
    return start, end


def _has_context(entry: str) -> bool:
    """Return whether an entry contains two words besides its numbers and their units."""
    for number in reversed(numbers(Passage("", entry))):
        entry = entry[: number.start] + " " + entry[number.end :]
    return len(re.findall(r"[^\W\d_]{2,}", entry)) >= 2


def pasteable(missing: list[Number], source: str) -> str:
    """Return lines to add to the list for the missing numbers, with the kinds left to fill in."""
    lines = [f'["{source}"]']
    for entry, where in proposals(missing).items():
        key = json.dumps(entry, ensure_ascii=False) if "'" in entry else f"'{entry}'"
        lines.append(f'{key} = ""  # {where}')
    return "\n".join(lines)


def bad_entries(prose: list[Passage], entries: Entries, citations: set[str]) -> list[str]:
    """Return the problems with a file's entries."""
    found = []
    used = {entry for passage in prose for number in numbers(passage) for entry in _vouching(number, entries)}
    for entry, value in entries.items():
        kind, _, detail = (part.strip() for part in value.partition(":"))
        if kind not in KINDS:
            kinds = "; ".join(f"{name} ({meaning})" for name, meaning in KINDS.items())
            found.append(f"{entry!r} has the kind {kind!r}; code prints measured numbers, so use one of: {kinds}")
        elif kind == "reported" and not re.match(r"[AB], \w", detail):
            found.append(f"{entry!r} must say which source reports it and where, as in 'reported: B, table 6'")
        elif kind == "published" and re.split(r"[ ,]", detail)[0] not in citations:
            found.append(f"{entry!r} must name an entry of references.bib, as in 'published: lecun98'")
        elif kind == "exact" and not detail:
            found.append(f"{entry!r} must say what it follows from, as in 'exact: 3 of 4'")
        if len(entry) > MAX_ENTRY:
            found.append(f"{entry!r} is longer than {MAX_ENTRY} characters; take a few words around the number")
        if not _has_context(plain(entry)):
            found.append(f"{entry!r} must contain two words around the number, so that it identifies one sentence")
        if entry not in used:
            found.append(f"{entry!r} is stale: no number that needs it matches these words; remove or correct it")
    return found


def explanation(missing: list[Number], source: str) -> str:
    """Return a message that says how to handle numbers that are not on the list."""
    kinds = "\n".join(f"  {name}: {meaning}" for name, meaning in KINDS.items())
    listed = "\n".join(f"  {n.passage.where}: {n.text!r} in: {_sentence(n)}" for n in missing)
    return (
        f"{source}: typed numbers that look measured and are not on the list (cells are counted from 1):\n{listed}\n\n"
        "If it was measured, print it from code (claim, reported_and_measured or print), or leave it out.\n"
        f"If not, paste its line into tests/book/{LIST.name} and fill in its kind:\n{kinds}\n\n"
        f"{pasteable(missing, source)}\n"
    )


def _sentence(number: Number) -> str:
    text = number.passage.text
    start = max((m.end() for m in re.finditer(r"[.?!] (?=\S)", text[: number.start])), default=0)
    end = re.search(r"[.?!](?= |$)", text[number.end :])
    return text[start : number.end + end.end() if end else len(text)]


def main() -> int:
    """Print an entry for each number that is not on the list, file by file."""
    listed = load_list()
    missing = {source: unlisted(passages(source), listed.get(source, {})) for source in SOURCES}
    for source, found in missing.items():
        if found:
            print(explanation(found, source))
    return int(any(missing.values()))


if __name__ == "__main__":
    sys.exit(main())
