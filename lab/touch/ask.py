"""What a chapter asks its reader: predictions, the same beside what was measured, and questions to check oneself by.

A chapter calls `predict` at its head, `look_back` where it answers, and `check_yourself` at its end. The questions
stand in ``book/questions.toml``. On a published page the answers stay in the reader's browser; in a notebook they stay
in its kernel, where the boxes of a chapter share them and Python can read them.
"""

from __future__ import annotations

import html
import re
import tomllib
import weakref
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

from lab.claims import spaced
from lab.touch.widget import Touch, traits

QUESTIONS = Path(__file__).resolve().parents[2] / "book" / "questions.toml"
"""What every chapter asks; the head of the file says what its entries mean."""

Measured = str | tuple[str, float | None]
"""What was measured, as text, and behind it, if one can say so, the place of the right choice or the right number."""

_GROUPS = {"predict": "prediction", "look_back": "prediction", "check_yourself": "check"}
_ANSWERS: dict[tuple[str, int], dict[str, Any]] = {}  # By the group of questions and the chapter.
_BOXES: weakref.WeakSet[Ask] = weakref.WeakSet()


@cache
def _all_questions() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))


def questions_of(chapter: int, group: str) -> list[dict[str, Any]]:
    """Return what a chapter asks, in order: its predictions (``prediction``) or its questions (``check``).

    Raises
    ------
    ValueError
        If it asks nothing of the kind.
    """
    found = [each for each in _all_questions()[group] if each["chapter"] == chapter]
    if not found:
        chapters = sorted({each["chapter"] for each in _all_questions()[group]})
        raise ValueError(f"chapter must be one that has a {group} in {QUESTIONS.name}, {chapters}; got {chapter!r}")
    return [{key: value for key, value in each.items() if key != "chapter"} for each in found]


class Ask(Touch):
    """A box of questions; `predict`, `look_back` and `check_yourself` make them.

    Parameters
    ----------
    kind : {"predict", "look_back", "check_yourself"}
        Which box of the chapter it is.
    chapter : int
        The number of the chapter.
    measured : dict, optional
        Only for "look_back": what was measured, by the name of the prediction, with its ``text`` and what ``holds``.

    Attributes
    ----------
    questions : list of dict
        What is asked, as in ``book/questions.toml``.
    answers : dict
        What the reader has answered, by the name of the question: the place of a choice, counted from 0, or a number.
        The boxes of a chapter that are open in one kernel share it.
    """

    module = "ask"
    static_says = ""
    kind = traits.Enum(tuple(_GROUPS), "predict").tag(sync=True)
    chapter = traits.Int(1).tag(sync=True)
    questions: Any = traits.List().tag(sync=True)
    answers: Any = traits.Dict().tag(sync=True)
    measured: Any = traits.Dict().tag(sync=True)

    _words: ClassVar[dict[str, tuple[str, str]]] = {
        "predict": ("Predict", "What will be measured? Commit to it before you read on."),
        "look_back": ("Your predictions", "What you predicted, and what was measured."),
        "check_yourself": ("Check yourself", "Each answer tells you at once whether it is right, and why."),
    }

    def __init__(self, kind: str, chapter: int, **settings: Any) -> None:
        title, question = self._words[kind]
        asked = questions_of(chapter, _GROUPS[kind])
        shared = (_GROUPS[kind], chapter)
        super().__init__(
            name=kind.replace("_", "-"),
            title=title,
            question=question,
            kind=kind,
            chapter=chapter,
            questions=asked,
            answers=dict(_ANSWERS.get(shared, {})),
            **settings,
        )
        self._start["answers"] = {}  # A page that is stored or published holds nobody's answers.
        self._shared = shared
        _BOXES.add(self)
        self.observe(self._tell_others, "answers")

    def _tell_others(self, change: Any) -> None:
        if _ANSWERS.get(self._shared) == change["new"]:
            return
        _ANSWERS[self._shared] = dict(change["new"])
        for box in list(_BOXES):
            if box is not self and box._shared == self._shared:
                box.answers = dict(change["new"])

    def static_html(self) -> str:
        """Return the questions as text, for where no JavaScript runs."""
        items = "".join(f"<li>{self._item(question)}</li>" for question in self.questions)
        return f'<ol class="nnkit-touch-ask-list">{items}</ol>'

    def _item(self, question: dict[str, Any]) -> str:
        asks = f"<p>{_marked(question['asks'])}</p>"
        if self.kind == "look_back":
            text = self.measured[question["name"]]["text"]
            return f'{asks}<p class="nnkit-touch-ask-measured"><strong>Measured:</strong> {_marked(text)}</p>'
        if "number" in question:
            number = question["number"]
            unit = number["unit"] and f" {number['unit']}" * (not number["unit"].startswith("of "))
            return f"{asks}<p>A number from {number['from']:,} to {number['to']:,}{html.escape(unit)}.</p>"
        choices = "".join(f"<li>{_marked(choice)}</li>" for choice in question["choices"])
        answer = ""
        if self.kind == "check_yourself":
            reasons = "".join(
                f"<li><strong>{'Right' if place == question['right'] else 'Not right'}:</strong> "
                f"{_marked(choice)} {_marked(why)}</li>"
                for place, (choice, why) in enumerate(zip(question["choices"], question["because"], strict=True))
            )
            answer = f"<details><summary>The answer</summary><ul>{reasons}</ul></details>"
        return f"{asks}<ul>{choices}</ul>{answer}"


def predict(chapter: int) -> Ask:
    """Return the box at the head of a chapter, in which the reader predicts what it will measure.

    Raises
    ------
    ValueError
        If the chapter has no predictions.
    """
    return Ask("predict", chapter)


def look_back(chapter: int, **measured: Measured) -> Ask:
    """Return the box that shows each prediction of a chapter beside what was measured.

    Parameters
    ----------
    chapter : int
        The number of the chapter.
    **measured
        For each prediction, by its name under ``measured`` in ``book/questions.toml``, what was measured: a text, or a
        pair of the text and what holds, which is the place of the right choice, counted from 0, or the right number.

    Raises
    ------
    ValueError
        If something measured is missing, or is not asked for, or what holds is no place of a choice or no number.
    TypeError
        If what was measured is neither a text nor such a pair.
    """
    found = {}
    asked = questions_of(chapter, "prediction")
    if (wanted := {question["measured"] for question in asked}) != set(measured):
        got = ", ".join(sorted(measured)) or "nothing"
        raise ValueError(f"look_back({chapter}) must be given {', '.join(sorted(wanted))}; got {got}")
    for question in asked:
        name = question["measured"]
        value = measured[name]
        text, holds = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a text, or a pair of a text and what holds; got {value!r}")
        found[question["name"]] = {"text": spaced(text), "holds": _holding(question, holds)}
    return Ask("look_back", chapter, measured=found)


def check_yourself(chapter: int) -> Ask:
    """Return the questions at the end of a chapter, each answered at once with the reason.

    Raises
    ------
    ValueError
        If the chapter has no questions.
    """
    return Ask("check_yourself", chapter)


def _holding(question: dict[str, Any], holds: Any) -> int | float | None:
    """Return which choice or number holds, as what JSON can say."""
    certain = question.get("right")
    if holds is None:
        return certain
    name = question["measured"]
    if isinstance(holds, bool) or not isinstance(holds, Real):
        raise ValueError(f"what holds of {name} must be a number or None; got {holds!r}")
    found = float(holds)
    if "number" in question:
        return found
    last = len(question["choices"]) - 1
    if not (found.is_integer() and 0 <= found <= last):
        raise ValueError(f"what holds of {name} must be the place of a choice, from 0 to {last}; got {holds!r}")
    if certain is not None and found != certain:
        raise ValueError(f"choice {certain} of {name} is certain; got {holds!r} as measured")
    return int(found)


def _marked(text: str) -> str:
    """Return a text as HTML, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
