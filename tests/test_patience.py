"""wait_until: anything that makes progress may take as long as it needs; anything stalled fails."""

from __future__ import annotations

import re

import pytest

from tests import patience
from tests.patience import PATIENCE, wait_until


@pytest.fixture
def clock(monkeypatch):
    """Let each check of the folder take a quarter of `PATIENCE`; return the list of checks so far."""
    looks = []
    monkeypatch.setattr(patience.time, "monotonic", lambda: len(looks) * PATIENCE / 4)
    monkeypatch.setattr(patience.time, "sleep", looks.append)
    return looks


@pytest.mark.parametrize("move", ["a file grows", "files appear"])
def test_progress_restarts_the_timeout(tmp_path, clock, move):
    def condition():
        if len(clock) % 3 == 0:
            name = "log" if move == "a file grows" else f"log-{len(clock)}"
            with (tmp_path / name).open("a") as file:
                file.write("more\n")
        return len(clock) == 40

    wait_until(condition, tmp_path)
    assert len(clock) == 40


def test_stall_fails_and_lists_the_files(tmp_path, clock):
    (tmp_path / "log").write_text("only this", encoding="utf-8")
    with pytest.raises(
        AssertionError, match=rf"nothing has changed for {PATIENCE} seconds in .*{re.escape(str({'log': 9}))}"
    ):
        wait_until(lambda: False, tmp_path)
    assert len(clock) == 4


def test_true_condition_returns_immediately(tmp_path, clock):
    wait_until(lambda: True, tmp_path)
    assert clock == []
