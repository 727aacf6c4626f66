"""What chapters ask: every question is whole and fair, and every prediction is answered by its chapter."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from lab.touch import ask

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = tomllib.loads((ROOT / "book" / "chapters.toml").read_text(encoding="utf-8"))["chapter"]
NUMBERS = [chapter["number"] for chapter in CHAPTERS]
PREDICTIONS, CHECKS = (tomllib.loads(ask.QUESTIONS.read_text(encoding="utf-8"))[key] for key in ("prediction", "check"))
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def of_chapter(questions, number):
    return [question for question in questions if question["chapter"] == number]


def assert_is_sentence_or_words(text):
    assert text == text.strip()
    assert "  " not in text
    assert "$" not in text  # Formulas are set by scripts that a box does not have.
    assert text.count("`") % 2 == 0


def test_only_what_is_known_stands_there():
    asked = tomllib.loads(ask.QUESTIONS.read_text(encoding="utf-8"))
    assert set(asked) == {"prediction", "check"}
    for question in PREDICTIONS:
        assert {"chapter", "name", "asks", "measured"} <= set(question)
        assert set(question) <= {"chapter", "name", "asks", "measured", "choices", "number", "right"}
        assert ("choices" in question) != ("number" in question), question["name"]
    for question in CHECKS:
        assert set(question) == {"chapter", "name", "asks", "choices", "right", "because"}
    for question in PREDICTIONS + CHECKS:
        assert question["chapter"] in NUMBERS
        assert _SLUG.fullmatch(question["name"])


@pytest.mark.parametrize("number", NUMBERS)
def test_chapter_asks_enough_and_not_too_much(number):
    assert 2 <= len(of_chapter(PREDICTIONS, number)) <= 4
    assert 3 <= len(of_chapter(CHECKS, number)) <= 5
    for questions in (PREDICTIONS, CHECKS):
        for key in ("name", "asks", "measured"):
            found = [question[key] for question in of_chapter(questions, number) if key in question]
            assert len(found) == len(set(found)), f"{key} comes twice"


@pytest.mark.parametrize(
    "question", PREDICTIONS + CHECKS, ids=lambda question: f"{question['chapter']}-{question['name']}"
)
def test_question_is_whole(question):
    assert question["asks"].endswith("?")
    assert_is_sentence_or_words(question["asks"])
    choices = question.get("choices")
    if choices is None:
        number = question["number"]
        assert set(number) == {"from", "to", "unit"}
        assert number["from"] < number["to"]
        assert isinstance(number["unit"], str)
        assert "right" not in question
        return
    assert 2 <= len(choices) <= 5
    assert len(set(choices)) == len(choices)
    for choice in choices:
        assert_is_sentence_or_words(choice)
    assert 0 <= question.get("right", 0) < len(choices)
    if "because" in question:
        assert len(question["because"]) == len(choices)
        for why in question["because"]:
            assert_is_sentence_or_words(why)
            assert why.endswith((".", "?"))
        # The box says that it is right.
        assert not re.match(r"(Yes|Right|Correct)\b[:.,]", question["because"][question["right"]])


@pytest.mark.parametrize("number", NUMBERS)
def test_right_choice_does_not_give_itself_away(number):
    questions = of_chapter(CHECKS, number)
    lengths = [[len(choice) for choice in question["choices"]] for question in questions]
    rights = [question["right"] for question in questions]
    longest = [all_[right] == max(all_) for all_, right in zip(lengths, rights, strict=True)]
    shortest = [all_[right] == min(all_) for all_, right in zip(lengths, rights, strict=True)]
    assert sum(longest) <= len(questions) / 2
    assert sum(shortest) <= 0.6 * len(questions)
    assert max(Counter(rights).values()) <= (len(questions) + 1) // 2


def test_right_choices_are_spread_over_the_book():
    places = Counter(question["right"] for question in CHECKS)
    assert min(places[place] for place in range(3)) > len(CHECKS) / 5


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: str(chapter["number"]))
def test_chapter_answers_what_it_asks(chapter):
    number = chapter["number"]
    notebook = json.loads(Path(ROOT, "book", f"{chapter['file']}.ipynb").read_text(encoding="utf-8"))
    calls = {}
    for place, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "ask." in source:
            for node in ast.walk(ast.parse(source)):
                called = node.func if isinstance(node, ast.Call) else None
                if (
                    isinstance(called, ast.Attribute)
                    and isinstance(called.value, ast.Name)
                    and called.value.id == "ask"
                ):
                    assert called.attr not in calls, f"ask.{called.attr} is called twice"
                    calls[called.attr] = place, node
    assert set(calls) == {"predict", "look_back", "check_yourself"}
    for _, call in calls.values():
        assert [ast.literal_eval(argument) for argument in call.args] == [number]
    passed = {keyword.arg for keyword in calls["look_back"][1].keywords}
    assert passed == {question["measured"] for question in of_chapter(PREDICTIONS, number)}
    places = [calls[name][0] for name in ("predict", "look_back", "check_yourself")]
    assert places == sorted(places)
