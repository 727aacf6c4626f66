"""Tables: columns in a terminal, Markdown in a notebook."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit as nn
from lab import as_table, check_table


def test_a_table_has_columns_in_a_terminal_and_is_markdown_in_a_notebook():
    table = as_table(("solver", "steps", "right"), [("nnkit", 9, "**97.5 %**"), ("`a | b`", 105, "+2.0")])
    assert repr(table).splitlines() == [
        "solver  steps   right",
        "nnkit       9  97.5 %",
        "a | b     105    +2.0",
    ]
    assert table._repr_markdown_().splitlines() == [
        "| solver | steps | right |",
        "| --- | ---: | ---: |",
        "| nnkit | 9 | **97.5\N{NARROW NO-BREAK SPACE}%** |",
        "| `a \\| b` | 105 | +2.0 |",
    ]


def test_numbers_stand_on_the_right_also_where_some_are_missing_and_text_on_the_left():
    table = as_table(("", "a", "b", "c"), [("x", "", "1 to 2", ""), ("y", "-3", "none", "")])
    assert table._repr_markdown_().splitlines()[1] == "| --- | ---: | --- | --- |"
    for text, right in {"0.weight": 0, "3 min 20 s": 0, "2e-06": 1, "1,000": 1, "97.3 (0.7)": 1, "5 to 9": 1}.items():
        assert as_table(("one",), [(text,)])._repr_markdown_().splitlines()[1] == ("| ---: |" if right else "| --- |")


@pytest.mark.parametrize("rows", [[], [("one",)], [("a", "b"), ("a", "b", "c")]])
def test_rows_that_do_not_fit_the_heads_are_an_error(rows):
    with pytest.raises(ValueError, match="each with 2 cells"):
        as_table(("x", "y"), rows)


def test_a_head_that_is_a_formula_alone_is_an_error():
    assert as_table(("", "about $n^2$"), [("x", "1")]).heads == ("", "about $n^2$")
    with pytest.raises(ValueError, match=r"heads must say in words .* got \['\$n\^2\$', '\$a\$ \$b\$'\]"):
        as_table(("x", "$n^2$", "$a$ $b$"), [("1", "1", "1")])


class Wrong(nn.Tanh):
    def backward(self, grad):
        return 2 * super().backward(grad)


def test_report_of_a_check_is_a_table_with_what_it_prints():
    report = nn.check_gradients(nn.Sequential(nn.Linear(3, 2, rng=0), Wrong()), np.ones((2, 3)))
    printed, shown = (str(text).replace("_", " ").split() for text in (report, check_table(report)))
    assert printed == shown
    assert "FAIL" in shown
