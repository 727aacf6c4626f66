"""The API reference: every public name has its entry, its source and its chapters, and every chapter its names."""

from __future__ import annotations

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

pytest.importorskip("numpydoc")

import lab
import nnkit
from website import api
from website.chapters import chapters

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
# What no chapter uses, and why it is public all the same.
NO_CHAPTER = {
    "lab.answers.packed": "in the experiments, for what chapters read",
    "lab.shown_from": "claim prints it; the page on evidence explains it",
    "lab.plots.packed": "for figures made outside a notebook",
    "lab.sweep.load_rows": "for the stores of the experiments",
    "lab.sweep.single_threaded": "in the experiments that are no sweeps",
    "nnkit.Checkpoint": "a callback for long runs",
    "nnkit.RMSprop": "compared in the experiment behind chapter 7",
    "nnkit.numeric_gradient": "what check_gradients compares with",
    "nnkit.precision": "the counterpart of recall",
    "nnkit.save_checkpoint": "in the experiments, which save what chapters load",
}
# For nnkit, lab and the book's tools, not for readers.
NO_PAGE = {
    *("nnkit.checks", "nnkit.files", "nnkit.typing"),
    *(f"nnkit.estimators.{name}" for name in ("base", "kernels", "smo")),
    *("lab.drawings", "lab.provenance", "lab.verdicts"),
    # A chapter shows each of them where it is used; CONTRIBUTING.md says how they are made.
    *(f"lab.touch.{name}" for name in ("border", "graph", "line", "pad", "playground", "street", "walk")),
    *(f"lab.touch.{name}" for name in ("ask", "modules", "pages", "stored", "weights", "widget")),
}


def test_every_public_name_is_in_the_reference():
    names = set(api.public_names())
    for package in (nnkit, lab):
        exported = {f"{package.__name__}.{name}" for name in package.__all__ if name != "__version__"}
        assert exported <= names
    estimators = {f"nnkit.{name}" for name in nnkit.estimators.__all__}
    assert estimators <= names
    assert not {name for name in names if name.count(".") > 1 and name.startswith("nnkit.")}


def test_every_module_has_its_page():
    paths = [path.relative_to(ROOT) for package in ("nnkit", "lab") for path in (ROOT / package).rglob("*.py")]
    modules = {".".join(path.with_suffix("").parts) for path in paths if path.name[0] != "_"}
    covered = {name for name in modules if any(f"{name}.".startswith(f"{module}.") for module in api.MODULES)}
    assert modules - covered == NO_PAGE
    toc = re.findall(r"file: book/appendix/api/(\w+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert toc == list(api.PAGES)
    for name, (title, _) in api.PAGES.items():
        page = (ROOT / "book" / "appendix" / "api" / f"{name}.rst").read_text(encoding="utf-8")
        assert page == f"{title}\n{'=' * len(title)}\n\n.. nnkit-page:: {name}\n"


def test_every_public_name_is_used_in_a_chapter():
    unused = {name for name in api.public_names() if not api.chapters_of(name)}
    assert unused <= set(NO_CHAPTER), "use it, or say why it is public"
    assert unused >= set(NO_CHAPTER), "a chapter uses it by now, or it is gone"


def test_names_that_lead_to_others_are_public_and_builders_use_what_they_build():
    assert {*api.MET_THROUGH, *api.MET_THROUGH.values()} <= set(api.public_names())
    for chapter in chapters():
        for name in chapter.builds:
            assert api.chapters_of(f"nnkit.{name}")[0] == chapter, name


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("nn.fit(model, nn.MSELoss())", {"nnkit.fit", "nnkit.MSELoss"}),
        ("from nnkit import Adam\nfrom lab.sweep import sweep", {"nnkit.Adam", "lab.sweep.sweep"}),
        ("from lab import claim, plots\nplots.loss_bands(x)", {"lab.claim", "lab.plots.loss_bands"}),
        ("nn.Autoencoder.symmetric([4, 2]).encode(x)", {"nnkit.Autoencoder"}),
        ("Linear(2, 3, init='xavier_normal')", {"nnkit.xavier_normal"}),
        ("fit(x); np.zeros(3); model.predict(x)", set()),
        ("nn.nothing; from elsewhere import fit", set()),
    ],
)
def test_scan_finds_the_names_in_code(source, names):
    assert set(api.names_in(source)) == names


@pytest.mark.parametrize(
    ("text", "context", "entry"),
    [
        ("Linear", (), "nnkit.Linear"),
        ("nnkit.Linear", ("nnkit.SVC",), "nnkit.Linear"),
        ("fit", (), "nnkit.fit"),
        ("fit", ("nnkit.SVC", "nnkit.estimators.svm"), "nnkit.SVC.fit"),
        ("backward", ("nnkit.Linear", "nnkit.layers"), "nnkit.Module.backward"),
        ("backward()", ("nnkit.Module", "nnkit.module"), "nnkit.Module.backward"),
        ("Lab.frame", ("lab.sliders",), "lab.sliders.Lab.frame"),
        ("sweep", ("lab.sweep",), "lab.sweep.sweep"),
        ("threshold", ("nnkit.metrics",), None),
        ("_save", ("nnkit.Module",), None),
        ("gamma", ("nnkit.SVC", "nnkit.estimators.svm"), None),
    ],
)
def test_a_name_in_a_docstring_leads_to_its_entry(text, context, entry):
    assert api.documented(text, context) == entry


def read(document: str) -> str:
    path = SITE / f"{document}.html"
    if not path.exists():
        pytest.skip("there is no site in _build/html; make book builds it")
    return path.read_text(encoding="utf-8")


def entries(page: str) -> dict[str, str]:
    """Return the HTML of each entry on a page of the reference, from its own heading to the next entry's."""
    parts = re.split(r'<dt class="sig sig-object py" id="([\w.]+)">', read(f"book/appendix/api/{page}"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.site
@pytest.mark.parametrize("page", api.PAGES)
def test_every_entry_leads_to_its_source_and_to_its_chapters(page):
    found = entries(page)
    names = [name for name, holder in api.public_names().items() if holder == page]
    members = [name for name in found if name not in names]
    assert [name for name in found if name in names] == names
    assert {name.rpartition(".")[0] for name in members} <= set(names)
    for name in names:
        heading, _, text = found[name].partition("</dt>")
        source, anchor = re.search(r'href="\.\./\.\./\.\./(_modules/[\w/]+)\.html#([\w.]+)"', heading).groups()
        assert source == f"_modules/{resolve_name(name).__module__.replace('.', '/')}"
        assert anchor == name.rpartition(".")[2]
        assert f'id="{anchor}"' in read(source)
        said = re.search(r'<p class="nnkit-chapters">(.*?)</p>', text, re.S)
        links = re.findall(r'href="\.\./\.\./(part[\w/-]+)\.html"', said[1]) if said else []
        assert [f"book/{link}" for link in links] == [chapter.document for chapter in api.chapters_of(name)]


@pytest.mark.site
@pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: str(chapter.number))
def test_every_chapter_leads_to_the_entries_of_its_names(chapter):
    box = re.search(r'<div class="nnkit-names admonition">.*?</div>', read(chapter.document), re.S)[0]
    linked = re.findall(r'href="\.\./appendix/api/(\w+)\.html#([\w.]+)"', box)
    assert {name for _, name in linked} == api.names_of(chapter.number) - set(api.MET_THROUGH)
    for page, name in linked:
        assert name in entries(page)
