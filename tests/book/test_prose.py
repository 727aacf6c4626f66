"""The book's prose: measured numbers are printed by code, never typed."""

from __future__ import annotations

import re
import tomllib

import nbformat
import pytest

from tests.book.prose import (
    KINDS,
    LIST,
    ROOT,
    SOURCES,
    Passage,
    bad_entries,
    code_passages,
    explanation,
    load_list,
    notebook_passages,
    numbers,
    paragraphs,
    passages,
    pasteable,
    plain,
    unlisted,
)

BIBLIOGRAPHY = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
CITATIONS = set(re.findall(r"^@\w+\{([\w-]+),", BIBLIOGRAPHY, re.M))


@pytest.mark.parametrize("source", SOURCES)
def test_no_measured_number_is_typed(source):
    missing = unlisted(passages(source), load_list().get(source, {}))
    if missing:
        pytest.fail(explanation(missing, source), pytrace=False)


@pytest.mark.parametrize("source", SOURCES)
def test_list_of_typed_numbers_is_valid(source):
    found = bad_entries(passages(source), load_list().get(source, {}), CITATIONS)
    if found:
        pytest.fail(f"tests/{LIST.name}, {source}:\n" + "\n".join(found), pytrace=False)


def test_list_names_only_existing_files():
    assert set(load_list()) <= set(SOURCES)


def test_sources_include_every_chapter():
    chapters = {path.relative_to(ROOT).as_posix() for path in (ROOT / "book").glob("part*/*.ipynb")}
    assert chapters
    assert chapters | {"README.md", "book/index.md", "book/appendix/notation.md"} <= set(SOURCES)


def loose_percentages(source: str) -> list[str]:
    """Return the percentages in a page's text, captions and alternative texts that could break across lines."""
    path = ROOT / source
    if path.suffix == ".md":
        texts = [path.read_text(encoding="utf-8")]
    else:
        texts = []
        for cell in nbformat.read(path, as_version=4).cells:
            shown = cell.metadata.get("mystnb", {})
            texts += [cell.source] if cell.cell_type == "markdown" else []
            texts += [shown.get("figure", {}).get("caption", ""), shown.get("image", {}).get("alt", "")]
    return [match[0] for text in texts for match in re.finditer(r".{,20}\d ?%.{,10}", text)]


@pytest.mark.parametrize("source", SOURCES)
def test_percentages_have_a_thin_space(source):
    """A narrow no-break space. Outputs get it from `lab.spaced` and are tested as well."""
    assert loose_percentages(source) == []


def test_loose_percentage_is_found(tmp_path):
    cell = nbformat.v4.new_code_cell("draw()  # 5 %")
    cell.metadata["mystnb"] = {"figure": {"caption": "At 97 %."}, "image": {"alt": "At 98%."}}
    cells = [nbformat.v4.new_markdown_cell("About 95 % or 96\N{NARROW NO-BREAK SPACE}%."), cell]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "planted.ipynb")
    (tmp_path / "planted.md").write_text("Some 3 % or $99\\,\\%$.", encoding="utf-8")
    found = loose_percentages(str(tmp_path / "planted.ipynb"))
    assert found == ["About 95 % or 96\N{NARROW NO-BREAK SPACE}%.", "At 97 %.", "At 98%."]
    assert loose_percentages(str(tmp_path / "planted.md")) == ["Some 3 % or $99\\,\\"]


# A notebook with typed measured numbers everywhere that a reader sees.

PLANTED_TEXT = """\
# 12. Planted

It reaches 97.4 % on the test digits, in 3.2 s, and reads 996 of 1,000.
With momentum it needs $1.7\\times$ the steps, and the error falls to $3.1 \\cdot 10^{-9}$.

```{exercise} A title with ninety-one percent
:label: ex-0.5
Right on 12 digits out of 90.
```

| What | Measured |
|---|---|
| share | **93**\N{NARROW NO-BREAK SPACE}% |

- It stops at epoch 17, after some 40 minutes.
"""
PLANTED_IN_TEXT = {
    "97.4 %",
    "3.2 s",
    "996 of 1,000",
    "1.7\N{MULTIPLICATION SIGN}",
    "10^{-9}",
    "ninety-one percent",
    "12 digits out of 90",
}
PLANTED_IN_TEXT |= {"93 %", "epoch 17", "some 40 minutes", "3.1"}

PLANTED_CODE = """\
# It takes 4.5 s here.
claim("It gains 8.3 points, {estimate:.1%} ({runs} runs).", values, above=0.25)
reported_and_measured([
    ("A, fig. 5", "97 %", "7", True, "six times as many steps"),
    ("A, fig. 6", "0.02 s", f"{x:.3f}, not 0.6", False, "as " f"{3} of 4 runs say"),
])
print(f"{x:.2f} of 1,000, and 300 of 1,000")
"""
PLANTED_IN_CODE = {"4.5 s", "8.3", "7", "six times", "0.6", "300 of 1,000"}

LOOKALIKES = """\
# 3.5 A heading

1. A network 784-64-32-10 on images of 28 \N{MULTIPLICATION SIGN} 28 pixels, 5,000 of them, 20 epochs, batches of 128.
2. Take $W$ of shape $(3, 2)$, $x_1 + 2x_2 - 1$ and $\\frac{2}{n}$, 10,000 points, in 2015 {cite:p}`smith-0.5`.
3. See {doc}`../part1/02-99.5`, {eq}`eq-1.2`, table 4.1, figures 2 and 3, [this page](https://example.org/1.5/x).
4. Write `rate = 0.25`, with Python 3.11, at the 95 % interval of a claim. One of the two is close to 1.

(sec-1.5)=
```python
accuracy = 0.97  # in 3.2 s
```

:::{figure} fig-1.5.png
:width: 97%
A caption.
:::
"""


def notebook(*cells: nbformat.NotebookNode) -> list[Passage]:
    return list(notebook_passages(nbformat.v4.new_notebook(cells=list(cells))))


def found(prose: list[Passage]) -> set[str]:
    return {number.text for passage in prose for number in numbers(passage)}


def test_measured_numbers_planted_in_text_are_caught():
    assert found(notebook(nbformat.v4.new_markdown_cell(PLANTED_TEXT))) == PLANTED_IN_TEXT


def test_example_on_paper_and_level_of_an_exercise_are_no_measured_numbers():
    """But only those: the next part of the chapter is read again."""
    cell = nbformat.v4.new_markdown_cell(
        "## With a pencil\n\nThe error is 0.65.\n\n## Then\n\nIt is 0.66.\n\n*Core, 15 minutes.* In 16 minutes."
    )
    assert found(notebook(cell)) == {"0.66", "16 minutes"}
    following = nbformat.v4.new_markdown_cell("It is 0.67.")
    assert found(notebook(nbformat.v4.new_markdown_cell("## With a pencil"), following)) == {"0.67"}


def test_measured_numbers_planted_in_code_are_caught():
    assert found(notebook(nbformat.v4.new_code_cell(PLANTED_CODE))) == PLANTED_IN_CODE


@pytest.mark.parametrize("place", ["caption", "alt"])
def test_measured_numbers_planted_in_figures_are_caught(place):
    texts = {"figure": {"name": "fig-1.5"}, "image": {}}
    texts["figure" if place == "caption" else "image"][place] = "The new loop is 1.7 times as fast, about 300 runs."
    cell = nbformat.v4.new_code_cell("plt.show()", metadata={"mystnb": texts})
    assert found(notebook(cell)) == {"1.7 times", "about 300"}


def test_unmeasured_numbers_are_not_reported():
    assert found(notebook(nbformat.v4.new_markdown_cell(LOOKALIKES))) == set()


@pytest.mark.parametrize(
    "text",
    [
        "97 %, 97%, $97\\,\\%$ and 97 per cent",
        "a third of the time, two-thirds, six tenths, a few ten-thousandths, twice as fast",
        "9 in 10, nine of ten, 996/1000, one of 25",
        "40 µs, 3 seconds, ten minutes, 11 MB, a 20-fold fall, 3x faster, 5 \N{MULTIPLICATION SIGN}",
        "1e-7, 10^{-7}, 10⁻⁷, .97",
        "about 300, roughly forty, ~40, $\\approx 7$, below five, more than half, an accuracy of 97",
        "405,182, 52{,}650",
    ],
)
def test_number_looks_measured(text):
    assert len(numbers(Passage("", plain(text)))) == len(re.split(", | and ", text))


def test_typed_number_fails_until_it_is_listed():
    prose = notebook(nbformat.v4.new_markdown_cell("It's *quite* good: it reaches 97.4 % of the digits, in 3.2 s."))
    message = explanation(unlisted(prose, {}), "book/x.ipynb")
    assert "cell 1: '97.4 %' in: It's quite good: it reaches 97.4 % of the digits, in 3.2 s." in message
    lines = pasteable(unlisted(prose, {}), "book/x.ipynb")
    assert lines in message
    entries = tomllib.loads(lines)["book/x.ipynb"]
    assert entries
    assert unlisted(prose, entries) == []
    assert any("kind ''" in problem for problem in bad_entries(prose, entries, set()))
    assert bad_entries(prose, dict.fromkeys(entries, "example"), set()) == []


def test_listed_number_in_a_new_sentence_is_caught():
    entries = {"with a learning rate of 0.1 for all": "hyperparameter"}
    prose = [Passage("cell 1", "Train with a learning rate of 0.1 for all layers. The loss ends at 0.1 for once.")]
    assert [number.start > 50 for number in unlisted(prose, entries)] == [True]


@pytest.mark.parametrize(
    ("entry", "kind", "problem"),
    [
        ("a rate of 0.1 for all", "measured", "has the kind 'measured'"),
        ("a rate of 0.1 for all", "", "has the kind ''"),
        ("a rate of 0.2 for all", "hyperparameter", "is stale"),
        ("for all layers", "hyperparameter", "is stale"),
        ("of 0.1", "hyperparameter", "two words around"),
        ("Train with a rate of 0.1 for all layers of this very long sentence, " * 2, "example", "longer than"),
        ("a rate of 0.1 for all", "reported", "which source"),
        ("a rate of 0.1 for all", "reported: table 6", "which source"),
        ("a rate of 0.1 for all", "published: nobody", "references.bib"),
        ("a rate of 0.1 for all", "exact", "what it follows from"),
    ],
)
def test_invalid_entry_is_caught(entry, kind, problem):
    prose = [Passage("cell 1", "Train with a rate of 0.1 for all layers.")]
    assert any(problem in text for text in bad_entries(prose, {entry: kind}, {"adam"}))


@pytest.mark.parametrize("kind", ["hyperparameter", "example", "exact: 1/10", "reported: A, fig. 5", "published: adam"])
def test_valid_entry_passes(kind):
    assert kind.partition(":")[0] in KINDS
    prose = [Passage("cell 1", "Train with a rate of 0.1 for all layers.")]
    assert bad_entries(prose, {"a rate of $0.1$ for *all*": kind}, {"adam"}) == []


def test_paragraphs_have_line_numbers_and_skip_code():
    text = (
        "# 1. One\ntwo\n\n```\ncode\n```\n- three\n  four\n````{note} five\n```{code-cell}\nx\n```\nsix\n````\nseven\n"
    )
    assert list(paragraphs(text)) == [(1, "One\ntwo"), (7, "three\n  four"), (9, "five"), (13, "six"), (15, "seven")]


def test_numbers_filled_in_by_code_are_not_typed_numbers():
    source = '%matplotlib inline\nsentence = "By {low:.1%} in all"\n'
    source += 'print(f"{share:.1%} of {n:,} in {seconds:.1f} s", "#0.5", sep="0.97")\n'
    assert [number for passage in code_passages(source, "") for number in numbers(passage)] == []
