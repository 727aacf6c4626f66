"""The project itself: what the README promises runs, and the repository holds nothing that it should not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_BYTES = 1_500_000


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout, so there is no list of its files")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.filterwarnings("ignore:using scikit-learn's 1,797 digits")
def test_the_example_in_the_readme_runs(capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.S)[1]
    assert len([line for line in example.splitlines() if line]) == 5
    exec(example, {})
    assert 0.85 < float(capsys.readouterr().out) < 1


def test_files_that_the_readme_names_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / path).is_file(), path


def test_every_target_of_the_makefile_that_the_texts_name_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md", "book/index.md"):
        used = set(re.findall(r"`?make ([a-z-]+)", (ROOT / name).read_text(encoding="utf-8")))
        used -= {"an", "the", "it", "much", "what", "and", "all", "a"}
        assert used <= targets, (name, used - targets)


def test_no_file_is_large_and_none_is_data():
    for path in tracked():
        assert path.stat().st_size <= MAX_FILE_BYTES, path
        assert not path.name.endswith("ubyte.gz"), path


def test_nnkit_files_stay_small_and_know_nothing_of_the_book():
    for path in (ROOT / "nnkit").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 450, path
        assert not re.search(r"^\s*(from|import) (book|benchmarks|tests)\b", text, re.M), path


def test_no_file_leads_into_a_home_folder():
    home = re.compile(re.escape(str(ROOT)) + "|" + re.escape(str(Path.home())) + r"/[\w.]")
    for path in tracked():
        if path.suffix in {".py", ".md", ".yml", ".toml", ".txt", ".ipynb", ".json", ""}:
            assert not home.search(path.read_text(encoding="utf-8", errors="ignore")), path


def test_requirements_are_pinned():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        assert not line or line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+", line), line
