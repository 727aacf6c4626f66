"""Predictions, looking back and checking oneself: in Python, on a page, and with storage that is closed or broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lab.touch import ask
from lab.touch.modules import module
from tests.lab.touching import STATIC, page_with
from tests.website import visit

pytestmark = pytest.mark.site

KEY = "nnkit-answers"


@pytest.fixture(autouse=True)
def nobody_has_answered():
    """Answers are shared by all boxes of a process."""
    ask._ANSWERS.clear()
    ask._BOXES.clear()


def the_boxes():
    return ask.predict(5), looked_back(), ask.check_yourself(5)


def looked_back():
    return ask.look_back(5, four_units=("996 of 1,000", 996), two_units="61 % of 300", one_unit="0 of 300")


def stored(page):
    return json.loads(page.evaluate(f"localStorage.getItem('{KEY}')") or "{}")


# In Python


def test_boxes_of_a_chapter_share_their_answers():
    box, back, check = the_boxes()
    box.answers = {"four-units": 900}
    assert back.answers == {"four-units": 900}
    assert ask.predict(5).answers == {"four-units": 900}
    assert check.answers == {}
    assert ask.predict(1).answers == {}


def test_stored_page_holds_no_answers():
    ask.predict(5).answers = {"four-units": 901}
    for box in the_boxes():
        assert "901" not in box.html()


def test_static_page_has_all_questions_as_text():
    box, back, check = (box.static_html() for box in the_boxes())
    for question in ask.questions_of(5, "prediction"):
        assert question["asks"] in box
        assert question["asks"] in back
        for choice in question.get("choices", ()):
            assert choice in box
    assert "996 of 1,000" in back
    assert "<details>" in check
    for question in ask.questions_of(5, "check"):
        for text in (question["asks"], *question["choices"], *question["because"]):
            assert text in check


@pytest.mark.parametrize(
    ("measured", "error", "words"),
    [
        ({}, ValueError, "must be given four_units, one_unit, two_units; got nothing"),
        ({"four_units": "a", "two_units": "b", "one_unit": "c", "more": "d"}, ValueError, "got four_units, more"),
        ({"four_units": 996, "two_units": "b", "one_unit": "c"}, TypeError, "four_units must be a text.*got 996"),
        ({"four_units": ("a", "b"), "two_units": "b", "one_unit": "c"}, ValueError, "what holds of four_units"),
        ({"four_units": "a", "two_units": "b", "one_unit": ("c", 3)}, ValueError, "from 0 to 2; got 3"),
        ({"four_units": "a", "two_units": "b", "one_unit": ("c", 0)}, ValueError, "choice 2 of one_unit is certain"),
    ],
)
def test_what_cannot_have_been_measured_is_refused(measured, error, words):
    with pytest.raises(error, match=words):
        ask.look_back(5, **measured)


def test_chapter_without_questions_is_refused():
    with pytest.raises(ValueError, match=r"chapter must be one that has a prediction.*got 99"):
        ask.predict(99)


# On a page


def test_prediction_is_kept_and_shown_beside_what_was_measured(browser):
    with page_with(browser, *the_boxes()) as window:
        page = window.page
        assert "nothing" in page.locator("#touch-look-back li").nth(0).inner_text()
        number = page.locator("#touch-predict input[type=number]").nth(0)
        number.fill("900")
        page.get_by_label("some, but fewer than half").check()
        page.get_by_role("button", name="Commit to it").click()
        first, second, third = page.locator("#touch-look-back .nnkit-touch-ask-list > li").all()
        assert "900 of 1,000" in first.inner_text()
        assert "96 off" in first.inner_text()
        assert "nothing" in second.inner_text()
        assert "something else" in third.inner_text()
        assert stored(page)["5"]["prediction"] == {"four-units": 900, "one-unit": 1}
        assert "2 of 3 predictions are kept" in page.locator("#touch-predict .nnkit-touch-says").inner_text()
        page.wait_for_function(
            "document.querySelector('#touch-predict .nnkit-touch-heard').textContent.includes('2 of 3 predictions')"
        )
        page.reload()
        page.locator("#touch-predict").scroll_into_view_if_needed()
        page.wait_for_selector("#touch-predict[data-state=alive]")
        assert number.input_value() == "900"
        assert page.get_by_label("some, but fewer than half").is_checked()
        assert page.evaluate("location.search + location.hash") == ""
        assert window.problems == []


def test_link_leads_back_to_the_box(browser):
    with page_with(browser, *the_boxes()) as window:
        window.page.locator("#touch-look-back a").first.click()
        assert window.page.evaluate("location.hash") == "#touch-predict"
        assert window.page.evaluate("document.getElementById('touch-predict').getBoundingClientRect().top") < 100
        assert window.problems == []


def test_impossible_number_is_a_sentence(browser):
    with page_with(browser, ask.predict(5)) as window:
        page = window.page
        says = page.locator("#touch-predict .nnkit-touch-says")
        page.get_by_role("button", name="Commit to it").click()
        assert "Choose an answer first" in says.inner_text()
        for wrong in ("1001", "-1", "1e999"):
            page.locator("input[type=number]").nth(0).fill(wrong)
            page.get_by_role("button", name="Commit to it").click()
            assert says.inner_text() == "Prediction 1 must be a number from 0 to 1,000."
            assert stored(page) == {}
        assert window.problems == []


def test_keys_are_enough(browser):
    with page_with(browser, *the_boxes()) as window:
        page = window.page
        page.locator("#touch-predict input[type=number]").nth(0).focus()
        page.keyboard.type("12")
        page.keyboard.press("Tab")
        page.keyboard.type("34")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert stored(page)["5"]["prediction"] == {"four-units": 12, "two-units": 34, "one-unit": 1}
        page.locator("#touch-check-yourself button").nth(0).focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert stored(page)["5"]["check"] == {"why-no-line": 1}
        assert window.problems == []


def test_every_answer_is_replied_to_with_its_reason(browser):
    with page_with(browser, ask.check_yourself(5)) as window:
        page = window.page
        for question, field in zip(ask.questions_of(5, "check"), page.locator("fieldset").all(), strict=True):
            buttons = field.get_by_role("button").all()
            for i, made in enumerate(buttons):
                made.click()
                verdict = "Right." if i == question["right"] else "Not this one."
                assert field.locator("[aria-live=polite]").inner_text().strip() == f"{verdict} {question['because'][i]}"
                assert [each.get_attribute("aria-pressed") for each in buttons].index("true") == i
                shown = "right" if i == question["right"] else "wrong"
                assert [each.get_attribute("data-verdict") for each in buttons].index(shown) == i
            buttons[question["right"]].click()
        assert "5 of 5 answered, 5 right." in page.locator("#touch-check-yourself").inner_text()
        record = stored(page)["5"]
        assert record["asked"] == 5
        assert record["check"] == {question["name"]: question["right"] for question in ask.questions_of(5, "check")}
        assert window.problems == []


BROKEN = {
    "closed": "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no') } })",
    "full": "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }",
    "nonsense": f"localStorage.getItem('{KEY}') ?? localStorage.setItem('{KEY}', '{{not JSON')",
    "a list": f"localStorage.getItem('{KEY}') ?? localStorage.setItem('{KEY}', '[1, 2]')",
    "other types": f"""localStorage.getItem('{KEY}') ?? localStorage.setItem('{KEY}', JSON.stringify({{ 5: {{
        prediction: {{ 'four-units': 'many', 'one-unit': 17, 'two-units': null }},
        check: [3], asked: 'x', read: {{}} }} }}))""",
}


@pytest.mark.parametrize("storage", BROKEN)
def test_broken_storage_is_no_obstacle(browser, storage):
    with page_with(browser, *the_boxes()) as window:
        window.context.add_init_script(f"try {{ {BROKEN[storage]} }} catch {{}}")
        page = window.page
        page.reload()
        for name in ("predict", "look-back", "check-yourself"):
            page.locator(f"#touch-{name}").scroll_into_view_if_needed()
            page.wait_for_selector(f"#touch-{name}[data-state=alive]")
        assert page.locator("#touch-look-back li").filter(has_text="nothing").count() == 3
        page.locator("#touch-predict input[type=number]").nth(0).fill("900")
        page.get_by_role("button", name="Commit to it").click()
        page.locator("#touch-check-yourself button").nth(1).click()
        assert "900 of 1,000" in page.locator("#touch-look-back li").nth(0).inner_text()
        assert "1 of 5 answered, 1 right." in page.locator("#touch-check-yourself").inner_text()
        kept = page.locator("#touch-predict .nnkit-touch-says").inner_text()
        assert ("until you leave this page" in kept) == (storage in ("closed", "full"))
        assert window.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_boxes_fit_on_a_phone(browser, scheme):
    with page_with(browser, *the_boxes(), width=390, scheme=scheme) as window:
        page = window.page
        page.locator("#touch-predict input[type=number]").nth(0).fill("900")
        page.get_by_role("button", name="Commit to it").click()
        for made in page.locator("#touch-check-yourself fieldset button:first-child").all():
            made.click()
        visit.assert_fits(page)
        small = page.eval_on_selector_all(
            ".nnkit-touch button, .nnkit-touch label, .nnkit-touch input[type=number]",
            "all => all.filter(one => one.getBoundingClientRect().height < 44).map(one => one.outerHTML)",
        )
        assert small == []
        assert window.problems == []


def test_without_scripts_it_is_plain_text(browser):
    with page_with(browser, *the_boxes(), scripts=False) as window:
        page = window.page
        assert page.get_by_text("And with a single hidden unit?").count() == 2
        assert page.get_by_text("996 of 1,000").is_visible()
        reason = page.get_by_text("There is no line to be found")
        assert not reason.is_visible()
        page.get_by_text("The answer").first.click()
        assert reason.is_visible()
        visit.assert_fits(page)


# In a notebook

IN_A_NOTEBOOK = """async ({ source, state }) => {
  const { default: widget } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const heard = new Map();
  window.model = {
    widget_manager: {},
    get: (name) => state[name],
    set: (name, value) => {
      state[name] = value;
      (heard.get(`change:${name}`) ?? []).forEach((hear) => hear());
    },
    on: (event, hear) => heard.set(event, [...(heard.get(event) ?? []), hear]),
    off: (event, hear) => heard.set(event, (heard.get(event) ?? []).filter((each) => each !== hear)),
    save_changes: () => (window.saved = state.answers),
  };
  window.end = widget.render({ model, el: document.body.appendChild(document.createElement("div")) });
  window.listening = () => [...heard.values()].flat().length;
}"""


def test_kernel_remembers_in_a_notebook(browser, tmp_path):
    page_of_lab = tmp_path / "lab.html"
    page_of_lab.write_text("<!doctype html><title>A notebook</title><h1>A notebook</h1>", encoding="utf-8")
    box = ask.predict(5)
    with visit.Window(browser) as window:
        page = window.page
        window.open(page_of_lab.as_uri())
        page.evaluate(
            f"localStorage.setItem('{KEY}', JSON.stringify({{ 5: {{ prediction: {{ 'four-units': 3 }} }} }}))"
        )
        before = stored(page)
        page.evaluate(IN_A_NOTEBOOK, {"source": module("ask"), "state": box.get_state()})
        number = page.locator("input[type=number]").nth(0)
        assert number.input_value() == ""  # What a browser keeps is another reader's, perhaps.
        number.fill("900")
        page.get_by_role("button", name="Commit to it").click()
        assert page.evaluate("saved") == {"four-units": 900}
        assert stored(page) == before
        page.evaluate("model.set('answers', { 'four-units': 12 })")  # As Python does.
        assert number.input_value() == "12"
        page.evaluate("end()")
        assert page.evaluate("listening()") == 0
        assert window.problems == []


# The marks in the contents

CONTENTS = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A book</title>
<style>{style}</style><nav class="bd-links"><ul><li><a href="{up}index.html">Start</a></li>
<li><a href="{up}part1-foundations/01-linear-regression.html">1. Linear regression</a></li>
<li><a href="{up}part1-foundations/05-xor.html">5. XOR</a></li></ul></nav>
<article><section><h1>A page</h1><table><tr>
<td><a href="{up}part1-foundations/01-linear-regression.html">One</a></td></tr>
<tr><td><a href="{up}part1-foundations/05-xor.html">Five</a></td></tr></table>
<div style="height: 3000px"></div><section id="end"><h2>Further reading</h2></section></section></article>
<script src="{up}read.js"></script></html>"""


@pytest.fixture
def book(tmp_path):
    """Return a folder with two pages, as the site has them, and the script."""
    shutil.copy(STATIC / "read.js", tmp_path)
    (tmp_path / "part1-foundations").mkdir()
    style = Path(ask.__file__).with_suffix(".css").read_text(encoding="utf-8")
    for name, up in (("index.html", ""), ("part1-foundations/05-xor.html", "../")):
        (tmp_path / name).write_text(CONTENTS.format(up=up, style=style), encoding="utf-8")
    return tmp_path


def marks(page):
    return page.eval_on_selector_all(
        "a", "all => all.filter(one => one.textContent.includes('(')).map(one => one.textContent)"
    )


def test_chapter_is_marked_when_its_end_was_seen(browser, book):
    with visit.Window(browser) as window:
        page = window.page
        window.open((book / "part1-foundations" / "05-xor.html").as_uri())
        assert marks(page) == []
        page.locator("#end").scroll_into_view_if_needed()
        page.wait_for_selector(".nnkit-mark")
        assert marks(page) == ["5. XOR (read)"]
        page.evaluate(f"""() => {{ const all = JSON.parse(localStorage.getItem('{KEY}'));
            all[5].check = {{ a: 1, b: 2 }}; all[5].asked = 4; all[1] = {{ check: {{ a: 0 }}, asked: 5 }};
            localStorage.setItem('{KEY}', JSON.stringify(all)); window.dispatchEvent(new Event('{KEY}')) }}""")
        assert marks(page) == ["1. Linear regression (1 of 5 answered)", "5. XOR (read, 2 of 4 answered)"]
        assert page.evaluate(f"JSON.parse(localStorage.getItem('{KEY}'))[5].read") is True
        assert window.problems == []


def test_marks_move_nothing(browser, book):
    with visit.Window(browser) as window:
        page = window.page
        window.open((book / "index.html").as_uri(), width=390)
        places = """[...document.querySelectorAll('*:not(.nnkit-mark, .nnkit-mark *)')]
            .map(one => Object.values(one.getBoundingClientRect().toJSON()))"""
        before = page.evaluate(places)
        page.evaluate(f"""() => {{ localStorage.setItem('{KEY}', JSON.stringify({{ 5: {{ read: true }} }}));
            window.dispatchEvent(new Event('{KEY}')) }}""")
        assert page.locator(".nnkit-mark").count() == 2
        for mark in page.locator(".nnkit-mark").all():
            assert mark.bounding_box()["width"] >= 8
        assert page.evaluate(places) == before
        assert window.problems == []


def test_one_button_forgets_everything(browser, book):
    with visit.Window(browser) as window:
        page = window.page
        window.open((book / "index.html").as_uri())
        page.evaluate(
            f"localStorage.setItem('{KEY}', JSON.stringify({{ 5: {{ read: true, check: {{ a: 1 }}, asked: 5 }} }}))"
        )
        page.reload()
        assert marks(page) == ["5. XOR (read, 1 of 5 answered)", "Five (read, 1 of 5 answered)"]
        forget = page.get_by_role("button", name="Forget my answers and marks")
        assert forget.bounding_box()["height"] >= 44
        forget.click()
        assert marks(page) == []
        assert "Forgotten" in page.get_by_role("status").inner_text()
        assert page.evaluate("localStorage.length") == 0
        assert window.problems == []


@pytest.mark.parametrize("storage", BROKEN)
def test_marks_survive_broken_storage(browser, book, storage):
    with visit.Window(browser) as window:
        window.context.add_init_script(f"try {{ {BROKEN[storage]} }} catch {{}}")
        page = window.page
        window.open((book / "part1-foundations" / "05-xor.html").as_uri())
        page.locator("#end").scroll_into_view_if_needed()
        window.open((book / "index.html").as_uri())
        page.get_by_role("button", name="Forget my answers and marks").click()
        assert "Forgotten" in page.get_by_role("status").inner_text()
        assert window.problems == []


def test_script_on_every_page_is_tiny():
    assert (STATIC / "read.js").stat().st_size < 3000
