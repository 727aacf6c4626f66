"""The order in which experiments are repeated, and how long that takes according to their results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from book.replication.claim import BOOK
from lab.sweep import load_rows
from nnkit.files import read_json

# The experiment whose stored weights another one reads; all others need only the data.
NEEDS = {
    "latent_maps": "latent_codes",
    "latent_pca": "autoencoder_training",
    "latent_walks": "latent_codes",
    "nearest_neighbours": "latent_codes",
    "svm_features": "autoencoder_training",
    "svm_gamma": "autoencoder_training",
    "svm_script": "autoencoder_training",
}


@dataclass(frozen=True)
class Step:
    """One experiment, and the duration of its last run according to its result."""

    name: str
    seconds: float | None
    """Core-seconds for a sweep, since each row has its own; otherwise of the whole run. None if there is no result."""
    longest: float | None = None
    """The longest run of a sweep, which more cores do not shorten."""

    def expected(self, n_cores: int) -> float | None:
        """Return the expected seconds on this many cores; the duration of a whole run is not rescaled."""
        if self.seconds is None or self.longest is None:
            return self.seconds
        return max(self.seconds / n_cores, self.longest)


def plan(names: Sequence[str] = (), *, results: Path = BOOK / "results") -> list[Step]:
    """Return the steps that repeat these experiments, or all of them, each after the one whose weights it reads."""
    there = sorted(path.stem for path in (BOOK / "experiments").glob("[!_]*.py"))
    if unknown := sorted(set(names) - set(there)):
        raise SystemExit(f"there is no experiment {unknown[0]!r}; choose from {', '.join(there)}")
    chosen = set(names or there)
    chosen |= {NEEDS[name] for name in chosen if name in NEEDS}
    order = sorted(chosen, key=lambda name: (name in NEEDS, name))
    return [_step(name, results) for name in order]


def _step(name: str, results: Path) -> Step:
    store, whole = results / f"{name}.jsonl", results / f"{name}.json"
    if store.is_file():
        seconds = [row["seconds"] or 0.0 for row in load_rows(store)]
        return Step(name, sum(seconds), max(seconds, default=0.0))
    if whole.is_file():
        return Step(name, read_json(whole)["provenance"]["seconds"])
    return Step(name, None)


def seconds_of_chapters() -> float:
    """Return how long the chapters took when last executed, according to their metadata."""
    metadata = (read_json(path)["metadata"] for path in BOOK.glob("part*/*.ipynb"))
    return sum(each.get("nnkit", {}).get("seconds", 0.0) for each in metadata)


def table(steps: Sequence[Step], n_cores: int, *, chapters: bool = True) -> str:
    """Return the plan as text: each step, the chapters if included, and the total."""
    lines = [f"expected on {n_cores} cores, from the durations in the results:"]
    times = [(step.name, step.expected(n_cores)) for step in steps]
    if chapters:  # The tests execute every chapter again.
        times.append(("the chapters, then the tests that run them", 2 * seconds_of_chapters()))
    for name, seconds in times:
        lines.append(f"  {name:43} {'unknown' if seconds is None else duration(seconds):>10}")
    lines.append(f"  {'total':43} {duration(sum(seconds or 0.0 for _, seconds in times)):>10}")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return a time in words, as ``1 h 05 min``, ``3 min 20 s`` or ``12 s``."""
    seconds = round(seconds)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds % 60:02d} s" if minutes else f"{seconds} s"
