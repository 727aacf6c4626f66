"""The chapters as files: everything a reader sees was run in order from the current sources."""

from __future__ import annotations

import base64
import copy
import math
import re
from pathlib import Path

import nbformat
import pytest

from lab.sliders import MAX_BYTES
from tools.execute import loads_mnist, source_hash
from website.chapters import notebooks

BOOK = Path(__file__).resolve().parents[2] / "book"
CHAPTERS = sorted(BOOK.glob("part*/*.ipynb"))
MAX_FIGURE_BYTES = 120_000
MAX_CODE_CELLS = 35  # At most 25 of these belong to the chapter; the rest are solutions.
MAX_LINES_SHOWN = 200
MAX_SECONDS = 60  # On an otherwise idle machine; readers do not wait longer.
WORDS = range(1_500, 3_501)  # Up to the exercises.
MAX_WORDS_OF_EXERCISES = 1_600  # With their solutions and the further reading.
# SMO needs more: choosing a pair, its bounded step, the gap and the bias are derived together.
MAX_LINES_FROM_SCRATCH = {"15-smo": 40}
# Home or working folders of whoever ran the notebook must not appear in it.
SHOWS = re.compile(r"^(print|display|claim|sliders\.lab|as_table|reported_and_measured|plt\.show)\(", re.M)
MACHINE_PATH = re.compile(
    "|".join(map(re.escape, ("/home/", "/Users/", "/tmp/", f"{Path.home()}/", f"{BOOK.parent}/")))
)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the problems of a committed notebook; none if it is as `make notebooks` leaves it."""
    found = []
    cells = code_cells(notebook)
    counts = [cell.execution_count for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        found.append(f"not run in order from a fresh kernel: {counts}")
    if notebook.metadata.get("nnkit", {}).get("source_hash") != source_hash(notebook):
        found.append("stale: the code has changed since it ran; run make notebooks")
    ran = notebook.metadata.get("nnkit", {})
    if not re.fullmatch("[0-9a-f]{12}", ran.get("commit", "")):
        found.append(f"ran on commit {ran.get('commit')!r}; commit nnkit, lab and book first, then run make notebooks")
    if not ran.get("seconds", math.inf) <= MAX_SECONDS:
        found.append(f"took {ran.get('seconds')} s, more than {MAX_SECONDS} s; run make notebooks on an idle machine")
    if (ran.get("data") or {}).get("name") != ("mnist" if loads_mnist(notebook) else None):
        found.append(f"ran on the data {ran.get('data')}")
    if "widgets" in notebook.metadata:
        found.append("the state of widgets is stored")
    for i, cell in enumerate(cells, 1):
        where = f"code cell {i}"
        if not cell.source.strip():
            found.append(f"{where} is empty")
        if SHOWS.search(cell.source) and not cell.outputs:
            found.append(f"{where} should have output but has none")
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                found.append(f"{where} failed: {output.ename}")
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"{where} printed a warning: {output.text[:80]}")
            texts = [output.get("text", ""), *(v for v in output.get("data", {}).values() if isinstance(v, str))]
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                found.append(f"{where} stores a live widget, which does not work in a file")
            for text in texts:
                if path := MACHINE_PATH.search(text[:20_000]):
                    found.append(f"{where} shows a path on the machine that ran it: {path[0]}")
            if re.search(r"\d ?%", output.get("data", {}).get("text/markdown", "")):
                found.append(f"{where} shows a percentage without the thin space; lab.spaced adds it")
            for mime, data in output.get("data", {}).items():
                if mime.startswith("image/"):
                    size = len(base64.b64decode(data)) if mime != "image/svg+xml" else len(data)
                    if size > MAX_FIGURE_BYTES:
                        found.append(f"{where} has a figure of {size:,} bytes")
                    image = cell.metadata.get("mystnb", {}).get("image", {})
                    figure = cell.metadata.get("mystnb", {}).get("figure", {})
                    if len(image.get("alt", "")) < 40:
                        found.append(f"{where} has a figure without alternative text")
                    if not re.match(r"[A-Z].*[.][)]?$", figure.get("caption", ""), re.S) or not figure.get("name"):
                        found.append(f"{where} has a figure without a name and a caption in full sentences")
                if mime == "text/html" and len(data.encode()) > MAX_BYTES:
                    found.append(f"{where} has {len(data):,} bytes of HTML")
    return found


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request) -> nbformat.NotebookNode:
    return read(request.param)


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_notebook_has_no_problems(path):
    assert problems(read(path)) == []


def test_chapter_follows_the_common_structure(chapter):
    text = "\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")
    for part in ("## From scratch", "## The same with nnkit", "## Reported and measured"):
        assert part in text
    for part in ("## Lab", "## Break it", "## Take-aways", "## Exercises", "## Further reading"):
        assert part in text
    labels = re.findall(r"^:label: (\S+)", text, re.M)
    assert 4 <= len(labels) <= 7
    assert re.findall(r"\{solution-start\} (\S+)", text) == labels
    # Something to touch: pictures that the book has drawn, or one that answers the hand.
    assert len([cell for cell in chapter.cells if "lab" in tags(cell)]) <= 1
    assert any({"lab", "touch"} & set(tags(cell)) for cell in chapter.cells)
    assert len([cell for cell in chapter.cells if "setup" in tags(cell)]) == 1


def test_chapter_links_to_the_glossary(chapter):
    text = "\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")
    glossary = (BOOK / "appendix" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^(\S.*)\n    ", glossary.split("```{glossary}\n")[1], re.M)
    linked = set(re.findall(r"\{term\}`([^`]+)`", text))
    assert len(linked) >= 2
    assert {term.lower() for term in linked} <= {term.lower() for term in terms}


def words_only(notebook: nbformat.NotebookNode) -> set[str]:
    """Return the exercises that are answered in sentences."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return set(re.findall(r"^:label: (\S+)\n\n\*[^*\n]*, in words\.\*", text, re.M))


def test_every_solution_contains_an_assert(chapter):
    solution, asserted = None, dict.fromkeys(words_only(chapter), True)
    for cell in chapter.cells:
        if cell.cell_type == "markdown":
            # One cell may end a solution and start the next.
            for start, label in re.findall(r"\{solution-(start\} (\S+)|end\})", cell.source):
                solution = label if start.startswith("start") else None
                if solution:
                    asserted.setdefault(solution, False)
        elif solution and re.search(r"^\s*(assert |claim\()", cell.source, re.M):
            asserted[solution] = True
    assert asserted
    assert all(asserted.values()), asserted


def test_chapter_length_is_within_limits(chapter):
    prose = "\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")
    story, _, exercises = prose.partition("## Exercises")
    assert len(story.split()) in WORDS
    assert len(exercises.split()) <= MAX_WORDS_OF_EXERCISES
    # The page does not show them.
    chapter.cells = [cell for cell in chapter.cells if not {"remove-cell", "ask", "touch"} & set(tags(cell))]
    assert len(code_cells(chapter)) <= MAX_CODE_CELLS
    before_exercises = chapter.cells[: next(i for i, c in enumerate(chapter.cells) if "## Exercises" in c.source)]
    own = [cell for cell in before_exercises if cell.cell_type == "code"]
    assert len(own) <= 25
    shown = [cell.source for cell in own if "hide-input" not in tags(cell)]
    assert sum(len(source.splitlines()) for source in shown) <= MAX_LINES_SHOWN


WORDS_A_LINE = 12  # Of the column of a page.
LEVEL = re.compile(
    r"\*(Warm-up|Core|Stretch), \d+ minutes(, with pencil and paper|, in words)?\.\* \*\*[A-Z].*?[.?]\*\* "
)


def prose(chapter) -> str:
    return "\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")


def test_exercises_say_how_hard_they_are_and_give_a_hint(chapter):
    text = prose(chapter)
    exercises = re.findall(r"```\{exercise\}\n:label: (\S+)\n\n(.*?)\n```\n", text, re.S)
    assert 4 <= len(exercises) <= 7
    for label, exercise in exercises:
        assert LEVEL.match(exercise), label
        assert ":::{admonition} Hint\n:class: dropdown\n" in exercise, label
    assert any("with pencil and paper" in exercise for _, exercise in exercises)
    assert any("**Explain.**" in exercise and "in words" in exercise for _, exercise in exercises)


def test_predictions_are_asked_first_and_looked_back_on_and_understanding_is_checked(chapter, request):
    number = int(request.node.callspec.params["chapter"].stem[:2])
    heads = [cell.source.partition("\n")[0] for cell in chapter.cells]
    asked = {
        cell.source.partition("ask.")[2].partition("(")[0]: i
        for i, cell in enumerate(chapter.cells)
        if "ask" in tags(cell)
    }
    assert list(asked) == ["predict", "look_back", "check_yourself"]
    for name, i in asked.items():
        assert re.search(rf"ask\.{name}\(\s*{number}\b", chapter.cells[i].source)
        assert "remove-input" in tags(chapter.cells[i])
    assert asked["predict"] <= 2  # After the question of the chapter, and the cell that finds the book.
    look_back = next(i for i, cell in enumerate(chapter.cells) if cell.source.startswith("## Look back"))
    lab = next(i for i, head in enumerate(heads) if head.startswith("## Lab"))
    assert look_back < asked["look_back"] < lab
    assert heads[asked["check_yourself"] - 1] == "## Check yourself"


def test_parts_stand_in_the_order_of_a_lesson(chapter):
    text = prose(chapter)
    wanted = ["See it", "With a pencil", "From scratch", "The same with nnkit", "Look back", "Lab", "Break it"]
    wanted += ["Take-aways", "Check yourself", "Reported and measured", "Exercises", "Further reading"]
    heads = [head.partition(":")[0] for head in re.findall(r"^## (.*)$", text, re.M)]
    assert [head for head in heads if head in wanted] == wanted


def places(chapter) -> tuple[list[int], list[int]]:
    """Return where the figures stand and where the formulas that have a line of their own, by the cells' numbers."""
    figures = [i for i, cell in enumerate(chapter.cells) if "figure" in cell.metadata.get("mystnb", {})]
    formulas = [i for i, c in enumerate(chapter.cells) if c.cell_type == "markdown" and "\n$$\n" in c.source]
    return figures, formulas


def test_idea_is_a_picture_before_it_is_a_formula(chapter):
    figures, formulas = places(chapter)
    see_it = next(i for i, cell in enumerate(chapter.cells) if "## See it" in cell.source)
    pencil = next(i for i, cell in enumerate(chapter.cells) if "## With a pencil" in cell.source)
    assert any(see_it < figure < pencil for figure in figures)
    assert not formulas or figures[0] < formulas[0]


def test_less_than_two_fifths_of_what_one_reads_is_code(chapter):
    end = next(i for i, cell in enumerate(chapter.cells) if "## Exercises" in cell.source)
    hidden = {"hide-input", "remove-cell", "remove-input", "lab", "setup"}
    shown = [c.source for c in chapter.cells[:end] if c.cell_type == "code" and not hidden & set(tags(c))]
    shown = [source for source in shown if "claim(" not in source]  # The page folds it under its sentence.
    lines = sum(len([line for line in source.splitlines() if line.strip()]) for source in shown)
    words = len(prose(chapter).partition("## Exercises")[0].split())
    assert lines <= 0.4 * (lines + words / WORDS_A_LINE)


def test_from_scratch_fits_in_twenty_lines(chapter, request):
    limit = MAX_LINES_FROM_SCRATCH.get(request.node.callspec.params["chapter"].stem, 20)
    start = next(i for i, cell in enumerate(chapter.cells) if "## From scratch" in cell.source)
    code = next(cell for cell in chapter.cells[start:] if cell.cell_type == "code")
    assert len([line for line in code.source.splitlines() if line.strip()]) <= limit
    assert "nn." not in code.source


def broken(change) -> list[str]:
    """Return the problems of the first chapter after changing a copy of it."""
    notebook = copy.deepcopy(read(CHAPTERS[0]))
    change(notebook)
    return problems(notebook)


def test_stale_notebook_is_caught():
    def change(notebook):
        code_cells(notebook)[2].source += "\n# a change"

    assert any("stale" in problem for problem in broken(change))


def test_slow_chapter_is_caught():
    def change(notebook):
        notebook.metadata["nnkit"]["seconds"] = 61.0

    assert any("took 61.0 s" in problem for problem in broken(change))


def test_out_of_order_execution_is_caught():
    def change(notebook):
        code_cells(notebook)[2].execution_count = 40

    assert any("in order" in problem for problem in broken(change))


def test_cell_that_never_ran_is_caught():
    def change(notebook):
        cell = next(cell for cell in code_cells(notebook) if "print(" in cell.source)
        cell.execution_count, cell.outputs = None, []

    found = broken(change)
    assert any("in order" in problem for problem in found)
    assert any("should have output" in problem for problem in found)


def test_error_output_is_caught():
    def change(notebook):
        code_cells(notebook)[2].outputs = [nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])]

    assert any("failed: ValueError" in problem for problem in broken(change))


def test_warning_and_path_are_caught():
    def change(notebook):
        text = "/home/somebody/nnkit/losses.py:90: RuntimeWarning"
        code_cells(notebook)[2].outputs = [nbformat.v4.new_output("stream", name="stderr", text=text)]

    found = broken(change)
    assert any("printed a warning" in problem for problem in found)
    assert any("path on the machine" in problem for problem in found)


def test_percentage_without_thin_space_is_caught():
    def change(notebook):
        data = {"text/markdown": "| right | 98% |"}
        code_cells(notebook)[2].outputs = [nbformat.v4.new_output("display_data", data)]

    assert any("thin space" in problem for problem in broken(change))


def test_figure_without_caption_and_alt_text_is_caught():
    def change(notebook):
        for cell in code_cells(notebook):
            cell.metadata.pop("mystnb", None)

    found = broken(change)
    assert any("alternative text" in problem for problem in found)
    assert any("caption" in problem for problem in found)


def test_line_numbers_in_chapter_three_are_current():
    chapter = read(BOOK / "part1-foundations" / "03-backpropagation.ipynb")
    tables = [
        output.get("data", {}).get("text/markdown", "") for cell in code_cells(chapter) for output in cell.outputs
    ]
    found = re.findall(r"\| `(.+)` \| `(\w+\.py)`, line (\d+) \|", "\n".join(tables))
    assert len(found) >= 7
    for statement, name, number in found:
        line = (BOOK.parent / "nnkit" / name).read_text(encoding="utf-8").splitlines()[int(number) - 1]
        assert line.split("  #")[0].strip() == statement, f"{name} has changed: run make notebooks ONLY=03"
