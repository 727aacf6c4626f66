"""Time one epoch of the MNIST classifier, each contestant in turn, and print the ratios.

Usage: ``python -m benchmarks [--repeats 7] [--quick]``. One thread each. Seconds depend on the machine and on what
else it does; the ratios of medians of interleaved repetitions hardly do. Exit status 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

import nnkit as nn
from benchmarks import contestants
from book.experiments._run import processor


@dataclass(frozen=True)
class Case:
    """One table: what is trained, and how many times nnkit's time each contestant must take at the least."""

    batch_size: int
    n_samples: int
    epochs: int
    bounds: dict[str, float]


CASES = (
    Case(128, 60_000, 5, {"PyTorch eager": 2.3, "PyTorch lean": 2.3, "scikit-learn": 1.8, "bare products": 1 / 1.7}),
    Case(8, 12_000, 1, {"PyTorch eager": 2.3, "PyTorch lean": 2.3}),
)
"""For the bare products, the bound is the least share of nnkit's time that they may take."""


def compare(batch_size: int, n_samples: int, epochs: int, repeats: int, data: nn.Dataset) -> dict[str, list[float]]:
    """Return the seconds an epoch of each contestant, measured in turn so that all meet the same weather."""
    X, y = data.X_train[:n_samples], data.y_train[:n_samples]
    timers: dict[str, Callable[[], float]] = {
        name: timer for name, make in contestants.ALL.items() if (timer := make(X, y, batch_size, epochs)) is not None
    }
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for repeat in range(repeats + 1):
        for name, timer in timers.items():
            elapsed = timer() / epochs
            if repeat > 0:  # The first round warms up caches and allocators.
                seconds[name].append(elapsed)
    return seconds


def report(case: Case, n_samples: int, seconds: dict[str, list[float]]) -> bool:
    """Print one table; return whether every bound holds."""
    own, bounds = statistics.median(seconds["nnkit fit"]), case.bounds
    calls = "one epoch a call" if case.epochs == 1 else f"{case.epochs} epochs a call"
    print(f"\n784-64-32-10, ReLU, Adam, batch {case.batch_size}, {n_samples:,} samples, {calls}")
    print(f"{'':<16}{'seconds an epoch':>28}{'times nnkit':>14}   bound")
    kept = True
    for name, values in seconds.items():
        median = statistics.median(values)
        ratio = median / own
        verdict = ""
        if name in bounds:
            held = ratio >= bounds[name]
            kept &= held
            stated = f"at least {bounds[name]:.1f}"
            if name == "bare products":
                stated = f"nnkit at most {1 / bounds[name]:.1f} times ({1 / ratio:.2f})"
            verdict = f"{stated}: {'kept' if held else 'MISSED'}"
        spread = f"{median:.3f} ({min(values):.3f} to {max(values):.3f})"
        print(f"{name:<16}{spread:>28}{ratio:>14.2f}   {verdict}")
    return kept


def main() -> int:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="counted rounds (default 7)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data: to see that it runs")
    options = parser.parse_args()
    data = nn.load_mnist()
    print(f"{processor()}; {contestants.versions()}")
    if not contestants.has_torch():
        print("PyTorch is not installed, so its column is missing: pip install torch")
    kept = True
    for case in CASES:
        n_samples = case.n_samples // 10 if options.quick else case.n_samples
        with threadpool_limits(1):
            seconds = compare(case.batch_size, n_samples, case.epochs, options.repeats, data)
        kept &= report(case, n_samples, seconds)
    print("\nEvery bound is kept." if kept else "\nA bound is missed.")
    print("What is timed, and where the time goes: benchmarks/README.md")
    return 0 if kept or options.quick else 1


if __name__ == "__main__":
    sys.exit(main())
