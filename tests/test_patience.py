"""Waiting: whatever moves may take as long as it likes, and what stands still is given up."""

from __future__ import annotations

import re

import pytest

from tests import patience
from tests.patience import PATIENCE, wait_until


@pytest.fixture
def clock(monkeypatch):
    """Let each look at the folder take a quarter of the patience; return the list of those so far."""
    looks = []
    monkeypatch.setattr(patience.time, "monotonic", lambda: len(looks) * PATIENCE / 4)
    monkeypatch.setattr(patience.time, "sleep", looks.append)
    return looks


@pytest.mark.parametrize("move", ["a file grows", "files appear"])
def test_progress_starts_the_clock_anew(tmp_path, clock, move):
    def condition():
        if len(clock) % 3 == 0:
            name = "log" if move == "a file grows" else f"log-{len(clock)}"
            with (tmp_path / name).open("a") as file:
                file.write("more\n")
        return len(clock) == 40

    wait_until(condition, tmp_path)
    assert len(clock) == 40


def test_what_stands_still_is_given_up_and_told(tmp_path, clock):
    (tmp_path / "log").write_text("only this", encoding="utf-8")
    with pytest.raises(
        AssertionError, match=rf"nothing has moved for {PATIENCE} seconds in .*{re.escape(str({'log': 9}))}"
    ):
        wait_until(lambda: False, tmp_path)
    assert len(clock) == 4


def test_what_holds_at_once_is_not_waited_for(tmp_path, clock):
    wait_until(lambda: True, tmp_path)
    assert clock == []
