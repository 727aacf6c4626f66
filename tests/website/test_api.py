"""The API reference: every public name has its entry, its source and its chapters, and every chapter its names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("numpydoc")

import nnkit
from website import api

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
# What no chapter uses, and why it is public all the same.
NO_CHAPTER = {
    "Checkpoint": "a callback for long runs",
    "RMSprop": "compared in the experiment behind chapter 7",
    "calibration_bins": "what calibration_error sums up",
    "interact.frames_of": "for the tests of the labs",
    "numeric_gradient": "what check_gradients compares with",
    "plots.packed": "for figures made outside a notebook",
    "precision": "the counterpart of recall",
    "save_checkpoint": "in the experiments, which save what chapters load",
    "sweep.load_rows": "for the stores of the experiments",
    "sweep.single_threaded": "in the experiments that are no sweeps",
}


def test_every_public_name_is_in_the_reference():
    exported = {*nnkit.__all__, *nnkit._LAZY_NAMES} - {"__version__"}
    assert exported <= set(api.public_names())
    assert {name for name in api.public_names() if "." not in name} == exported
    lazy = {name.partition(".")[0] for name in api.public_names() if "." in name}
    assert lazy | set(nnkit._LAZY_NAMES.values()) == set(nnkit._LAZY_MODULES)


def test_every_module_has_its_page():
    modules = {path.stem for path in (ROOT / "nnkit").glob("*.py") if not path.stem.startswith("_")}
    assert set(api.MODULES) == modules
    toc = re.findall(r"file: book/appendix/api/(\w+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert toc == list(api.MODULES)
    for module, title in api.MODULES.items():
        page = (ROOT / "book" / "appendix" / "api" / f"{module}.rst").read_text(encoding="utf-8")
        assert page == f"{title}\n{'=' * len(title)}\n\n.. nnkit-module:: {module}\n"


def test_every_public_name_is_used_in_a_chapter():
    unused = {name for name in api.public_names() if not api.chapters_of(name)}
    assert unused <= set(NO_CHAPTER), "use it, or say why it is public"
    assert unused >= set(NO_CHAPTER), "a chapter uses it by now, or it is gone"


def test_names_that_lead_to_others_are_public_and_builders_use_what_they_build():
    assert {*api.MET_THROUGH, *api.MET_THROUGH.values()} <= set(api.public_names())
    for name, number in api.BUILT_IN.items():
        assert api.chapters_of(name)[0].number == number, name


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("nn.fit(model, nn.MSELoss())", {"fit", "MSELoss"}),
        ("from nnkit import Adam\nfrom lab.sweep import sweep", {"Adam", "sweep.sweep"}),
        ("nnkit.plots.loss_bands(x)", {"plots.loss_bands"}),
        ("nn.Autoencoder.symmetric([4, 2]).encode(x)", {"Autoencoder"}),
        ("Linear(2, 3, init='xavier_normal')", {"xavier_normal"}),
        ("fit(x); np.zeros(3); model.predict(x)", set()),
        ("nn.nothing; from elsewhere import fit", set()),
    ],
)
def test_scan_finds_the_names_in_code(source, names):
    assert set(api.names_in(source)) == names


@pytest.mark.parametrize(
    ("text", "context", "entry"),
    [
        ("Linear", (), "Linear"),
        ("nnkit.Linear", ("SVC",), "Linear"),
        ("fit", (), "fit"),
        ("fit", ("SVC", "svm"), "SVC.fit"),
        ("backward", ("Linear", "layers"), "Module.backward"),
        ("backward()", ("Module", "module"), "Module.backward"),
        ("sweep", ("sweep",), "sweep.sweep"),
        ("threshold", ("metrics",), None),
        ("_save", ("Module",), None),
        ("gamma", ("SVC", "svm"), None),
    ],
)
def test_a_name_in_a_docstring_leads_to_its_entry(text, context, entry):
    assert api.documented(text, context) == entry


def read(document: str) -> str:
    path = SITE / f"{document}.html"
    if not path.exists():
        pytest.skip("there is no site in _build/html; make book builds it")
    return path.read_text(encoding="utf-8")


def entries(module: str) -> dict[str, str]:
    """Return the HTML of each entry on a module's page, from its own heading to the next entry's."""
    parts = re.split(r'<dt class="sig sig-object py" id="nnkit\.([\w.]+)">', read(f"book/appendix/api/{module}"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.site
@pytest.mark.parametrize("module", api.MODULES)
def test_every_entry_leads_to_its_source_and_to_its_chapters(module):
    found = entries(module)
    names = [name for name, holder in api.public_names().items() if holder == module]
    members = [name for name in found if name not in names]
    assert [name for name in found if name in names] == names
    assert {name.rpartition(".")[0] for name in members} <= set(names)
    for name in names:
        heading, _, text = found[name].partition("</dt>")
        source, anchor = re.search(r'href="\.\./\.\./\.\./(_modules/[\w/]+)\.html#([\w.]+)"', heading).groups()
        assert source == f"_modules/nnkit/{module}"
        assert anchor == name.removeprefix(f"{module}.")
        assert f'id="{anchor}"' in read(source)
        said = re.search(r'<p class="nnkit-chapters">(.*?)</p>', text, re.S)
        links = re.findall(r'href="\.\./\.\./(part[\w/-]+)\.html"', said[1]) if said else []
        assert [f"book/{link}" for link in links] == [chapter.document for chapter in api.chapters_of(name)]


@pytest.mark.site
@pytest.mark.parametrize("chapter", api.chapters(), ids=lambda chapter: str(chapter.number))
def test_every_chapter_leads_to_the_entries_of_its_names(chapter):
    box = re.search(r'<div class="nnkit-names admonition">.*?</div>', read(chapter.document), re.S)[0]
    linked = re.findall(r'href="\.\./appendix/api/(\w+)\.html#nnkit\.([\w.]+)"', box)
    assert {name for _, name in linked} == chapter.names - set(api.MET_THROUGH)
    for module, name in linked:
        assert name in entries(module)
