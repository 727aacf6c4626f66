"""What all widgets share: the module in its two forms, the host of the page, and words for whatever is wrong."""

from __future__ import annotations

import re

import pytest

from lab.touch import modules
from lab.touch.line import Line
from lab.touch.widget import Touch, traits
from tests.lab.touching import page_with

pytestmark = pytest.mark.site

OWN = """// A widget for these tests.
import { slider, speaker, choice } from "./parts.js";

export const settings = {
  width: { from: 1, to: 8, whole: true },
  kind: { among: ["tanh", "relu"] },
};

export function render({ model, el }) {
  if (model.get("width") === 8) throw new Error("Eight is too much.");
  const say = speaker(el);
  const change = (name) => (now) => {
    model.set(name, now);
    model.save_changes();
  };
  const range = { from: 1, to: 8, step: 1 };
  const width = slider({ label: "width", ...range, value: model.get("width"), onchange: change("width") });
  const kinds = settings.kind.among.map((each) => [each, each]);
  const kind = choice({ label: "activation", among: kinds, value: model.get("kind"), onchange: change("kind") });
  el.prepend(width, kind);
  const follow = () => {
    width.value = model.get("width");
    kind.value = model.get("kind");
    say(`Width ${model.get("width")}, ${model.get("kind")}, data of ${(model.get("data")?.numbers ?? []).length}.`);
  };
  model.on("change:width", follow);
  model.on("change:kind", follow);
  follow();
  return () => {};
}

export default { render, settings };
"""


@pytest.fixture(scope="module")
def widget():
    """Return the class of a widget whose module is the one above."""
    real = modules.source
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modules, "source", lambda name: OWN if name == "own.js" else real(name))

        class Own(Touch):
            """A widget."""

            module = "own"
            title = "A try"
            question = "How wide?"
            tries = (("Width 3 is a start.", {"width": 3}), ("And then?", None))
            still_says = "A picture."
            width = traits.Int(2, min=1, max=8).tag(sync=True)
            kind = traits.Enum(["tanh", "relu"], "tanh").tag(sync=True)
            data = traits.Dict().tag(sync=True)

        yield Own


def said(window):
    return window.page.locator(".nnkit-touch-says").first.inner_text()


def test_a_widget_is_alive_on_a_page_and_keeps_its_state_in_the_address(browser, widget):
    with page_with(browser, widget(data={"numbers": [1, 2, 3]})) as window:
        page = window.page
        assert said(window) == "Width 2, tanh, data of 3."
        assert "?" not in page.url
        page.get_by_label("width").focus()
        page.keyboard.press("ArrowRight")
        assert said(window) == "Width 3, tanh, data of 3."
        page.wait_for_url(re.compile(r"#touch-own\?width=3$"))
        page.get_by_label("activation").select_option("relu")
        page.wait_for_url(re.compile(r"#touch-own\?width=3&kind=relu$"))
        page.get_by_role("button", name="Try it").click()
        page.wait_for_function("document.querySelector('.nnkit-touch-says').textContent.startsWith('Width 3, tanh')")
        assert page.locator(".nnkit-touch-static").count() == 0
        assert window.problems == []


@pytest.mark.parametrize(
    ("state", "says", "wrong"),
    [
        ("width=5&kind=relu", "Width 5, relu", ""),
        ("width=9", "Width 2, tanh", 'width must be a whole number from 1 to 8; got "9".'),
        ("width=2.5", "Width 2, tanh", "width must be a whole number"),
        ("width=&kind=relu", "Width 2, relu", 'got "".'),
        ("kind=sine", "Width 2, tanh", 'kind must be one of tanh, relu; got "sine".'),
        ("depth=1", "Width 2, tanh", 'There is no setting called "depth" here.'),
        ("%", "Width 2, tanh", "There is no setting"),
    ],
)
def test_what_an_address_cannot_mean_is_a_sentence(browser, widget, state, says, wrong):
    with page_with(browser, widget(), state=state) as window:
        assert said(window).startswith(says)
        told = window.page.locator(".nnkit-touch-wrong").inner_text()
        assert wrong in told if wrong else told == ""
        assert window.problems == []


def test_an_error_leaves_the_still_page_and_says_so(browser, widget):
    with page_with(browser, widget(), state="") as window:
        page = window.page
        page.evaluate("location.hash = '#touch-own?width=8'")  # Alive already: only told.
        page.wait_for_function("document.querySelector('.nnkit-touch-says').textContent.startsWith('Width 8')")
        page.reload()
        page.get_by_text("Eight is too much. Press here to try again.").wait_for()
        assert window.problems == []


def test_without_scripts_it_is_plain_text(browser, widget):
    with page_with(browser, widget(), scripts=False) as window:
        text = window.page.inner_text("main")
        for words in (
            "A try",
            "How wide?",
            "Width 3 is a start.",
            "answers your hand where JavaScript runs",
        ):
            assert words in text


def test_paper_gets_the_still_picture(browser):
    with page_with(browser, Line()) as window:
        assert not window.page.locator(".nnkit-touch-still").is_visible()
        window.page.emulate_media(media="print")
        assert window.page.locator(".nnkit-touch-still").is_visible()
        assert not window.page.locator(".nnkit-touch-live").is_visible()


def test_a_page_may_hold_two(browser, widget):
    with page_with(browser, widget(), widget(name="other", width=5)) as window:
        assert window.page.locator(".nnkit-touch-says").all_inner_texts() == [
            "Width 2, tanh, data of 0.",
            "Width 5, tanh, data of 0.",
        ]
        assert window.problems == []


def test_bad_settings_name_what_came(widget):
    with pytest.raises(ValueError, match=r"'width'.*value of 9"):
        widget(width=9)
    with pytest.raises(TypeError, match="widht is no setting of Own; expected one of name, data, kind, question"):
        widget(widht=1)
    with pytest.raises(ValueError, match=r"name must be lower-case.*'A b'"):
        widget(name="A b")
    with pytest.raises(ValueError, match="at most 700 kB"):
        widget(data={"numbers": list(range(200_000))}).html()


def test_a_notebook_gets_one_module_and_a_page(widget):
    own = widget(width=3)
    assert own._esm.count("export default") == 1
    assert not re.search(r"^(import|export (?!default))", own._esm, re.MULTILINE)
    (bundle, _) = own._repr_mimebundle_()
    assert {"text/html", "application/vnd.jupyter.widget-view+json"} <= set(bundle)
    assert '"width":3' in bundle["text/html"]


def names_at_the_top(text):
    return re.findall(r"^(?:export )?(?:const|let|function|class) (?:\{[^}]*\}|(\w+))", text, re.MULTILINE)


def test_no_two_files_have_one_name_at_the_top():
    """In a notebook, the files of a widget are one module."""
    from importlib.resources import files

    paths = sorted(path for path in files("lab.touch").iterdir() if path.name.endswith(".js"))
    seen = {}
    for path in paths:
        for name in names_at_the_top(path.read_text(encoding="utf-8")):
            if name not in ("", "render", "settings"):
                assert name not in seen, f"{name} stands in {seen[name]} and in {path.name}"
                seen[name] = path.name
