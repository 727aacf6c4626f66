"""How fast the widgets' engine trains beside nnkit, and whether a page stays at hand while its widgets play.

`python -m benchmarks.touch` trains 64-32-10 on scikit-learn's digits in batches of 32, by `net.js` in headless Chromium
and by nnkit in turn, from the same weights. Then it opens the pages of the built site that have a widget, waits until
each widget is alive, presses its play button if it has one, and watches the page's frames and long tasks. It prints
tables, and ends with 1 if a goal is clearly missed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import nnkit as nn
from benchmarks.site import pages, server
from benchmarks.threads import limited
from lab import provenance
from lab.results import write_whole
from lab.verdicts import Ratio, ratio
from nnkit.typing import Array
from website.pdf import SITE, browser_path, chromium

KEPT = Path(__file__).with_name("touch.json")
ENGINE = Path(__file__).resolve().parents[1] / "lab" / "touch" / "net.js"
WIDTHS, BATCH_SIZE, LR = (64, 32, 10), 32, 1e-3
EPOCHS, WARM_UP = 20, 3
AT_MOST = 3.0
"""Times nnkit's seconds that the engine may take."""
LONG = 50
"""Milliseconds from which a browser calls a task long: a press then waits so long that one notices it."""
DTYPES = {"nnkit float32": np.float32, "nnkit float64": np.float64}
NET = "net.js"

_LOAD = """async ([text, X, y, layers]) => {
  const net = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  window.train = (epochs, batchSize, lr) => {
    const modules = layers.flatMap(({ shape: [inFeatures, outFeatures], weight }, i) => {
      const linear = new net.Linear(inFeatures, outFeatures, {}, "zeros");
      linear.weight.data.set(weight);
      return i < layers.length - 1 ? [linear, new net.ReLU()] : [linear];
    });
    const model = new net.Sequential(modules);
    const loss = new net.CrossEntropyLoss();
    const optimizer = new net.Adam(model.parameters(), { lr });
    const n = y.length;
    const width = X.length / n;
    const order = Uint16Array.from({ length: n }, (_, i) => i);
    const batch = new Float64Array(batchSize * width);
    const target = new Uint8Array(batchSize);
    const samples = Float64Array.from(X);
    let sum = 0;
    const start = performance.now();
    for (let epoch = 0; epoch < epochs; epoch++) {
      sum = 0;
      for (let i = n - 1; i > 0; i--) {
        const j = Math.floor(Math.random() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
      for (let first = 0; first < n; first += batchSize) {
        for (let row = 0; row < batchSize; row++) {
          const sample = order[first + row];
          batch.set(samples.subarray(sample * width, (sample + 1) * width), row * width);
          target[row] = y[sample];
        }
        optimizer.zeroGrad();
        sum += loss.forward(model.forward(batch, batchSize), target, batchSize) * batchSize;
        model.accumulate(loss.backward(), batchSize);
        optimizer.step();
      }
    }
    return [(performance.now() - start) / 1000, sum / n];
  };
}"""

_WATCH = """
window.watched = { tasks: [], frames: [] };
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) watched.tasks.push([startTime, duration]);
}).observe({ type: "longtask", buffered: true });
const each = (now) => {
  watched.frames.push(now);
  requestAnimationFrame(each);
};
requestAnimationFrame(each);
"""
_SEEN = """(start) => ({
  frames: watched.frames.filter((now) => now >= start),
  tasks: watched.tasks.filter(([at]) => at >= start).map(([, duration]) => duration),
})"""
WIDGET = ".nnkit-touch[data-touch]"
ALIVE = "root => new Promise(done => { const look = () => root.dataset.state === 'alive' ? done() : \
setTimeout(look, 5); look(); })"


@dataclass(frozen=True)
class Watched:
    """What a while has shown, in milliseconds: from frame to frame, and the tasks that were long."""

    frames: tuple[float, ...]
    tasks: tuple[float, ...]

    def __str__(self) -> str:
        if len(self.frames) < 2:
            return "|  |  |  | "
        middle, late = np.quantile(self.frames, [0.5, 0.95])
        longest = f"{max(self.tasks):.0f}" if self.tasks else ""
        return f"{middle:.0f} | {late:.0f} | {max(self.frames):.0f} | {len(self.tasks)} | {longest}"


def digits() -> tuple[Array, Array]:
    """Return scikit-learn's digits with pixels from 0 to 1, as many as fill whole batches."""
    X, y = load_digits(return_X_y=True)
    n = len(X) // BATCH_SIZE * BATCH_SIZE
    return X[:n] / 16, y[:n]


def network(dtype: Any) -> nn.Sequential:
    """Return the network, which starts from the same weights in every dtype."""
    (first, hidden, last), rng = WIDTHS, np.random.default_rng(0)
    return nn.Sequential(
        nn.Linear(first, hidden, rng=rng, dtype=dtype), nn.ReLU(), nn.Linear(hidden, last, rng=rng, dtype=dtype)
    )


def train(X: Array, y: Array, dtype: Any, epochs: int) -> tuple[float, float]:
    """Train with `nnkit.fit`; return the seconds and the mean loss of the last epoch."""
    model, X = network(dtype), X.astype(dtype)
    optimizer = nn.Adam(model.parameters(), lr=LR)
    start = time.perf_counter()
    history = nn.fit(model, nn.CrossEntropyLoss(), optimizer, X, y, epochs=epochs, batch_size=BATCH_SIZE, rng=0)
    return time.perf_counter() - start, history["loss"][-1]


@contextmanager
def engine(browser: Any, X: Array, y: Array) -> Iterator[Any]:
    """Yield a function of the epochs that trains in a page and returns what `train` does."""
    layers = [
        {"shape": module.weight.data.shape, "weight": module.weight.data.ravel().tolist()}
        for module in network(np.float64).modules
        if isinstance(module, nn.Linear)
    ]
    with browser.new_context() as context:
        page = context.new_page()
        page.evaluate(_LOAD, [ENGINE.read_text(encoding="utf-8"), X.ravel().tolist(), y.tolist(), layers])
        yield lambda epochs: page.evaluate(f"train({epochs}, {BATCH_SIZE}, {LR})")


def compare(repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Return seconds and last losses of each contestant, one a round, measured in turn on one thread."""
    X, y = digits()
    with limited(1), chromium() as browser, engine(browser, X, y) as in_page:
        trainers = {NET: in_page} | {
            name: lambda epochs, dtype=dtype: train(X, y, dtype, epochs) for name, dtype in DTYPES.items()
        }
        for trainer in trainers.values():
            trainer(WARM_UP)
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in trainers}
        for _ in range(repeats):
            for name, trainer in trainers.items():
                runs[name].append(tuple(trainer(EPOCHS)))
    return runs


def ratios(runs: dict[str, list[tuple[float, float]]]) -> dict[str, Ratio]:
    """Return how many times the seconds of nnkit the engine takes, for each dtype of nnkit's."""
    seconds = {name: [second for second, _ in run] for name, run in runs.items()}
    return {name: ratio({"seconds": {name: seconds[name], NET: seconds[NET]}}, NET) for name in DTYPES}


def keep(runs: dict[str, list[tuple[float, float]]], browser: str, started: float, load: float) -> None:
    """Write what was measured where chapter 17 finds it."""
    origin = {
        "command": "python -m benchmarks.touch --keep",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "nnkit": nn.__version__,
        "commit": provenance.commit("benchmarks/*.py"),
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "Chromium": browser},
        "repeats": len(runs[NET]),
        "processor": provenance.processor(),
        "cores": os.cpu_count(),
        "seconds": round(time.perf_counter() - started, 1),
        "load_average": [round(load, 2), round(os.getloadavg()[0], 2)],
    }
    columns = {name: np.array(run).T.tolist() for name, run in runs.items()}
    row = {
        "network": "-".join(map(str, WIDTHS)),
        "batch_size": BATCH_SIZE,
        "epochs": EPOCHS,
        "seconds": {name: seconds for name, (seconds, _) in columns.items()},
        "losses": {name: losses for name, (_, losses) in columns.items()},
    }
    write_whole(KEPT, json.dumps({"provenance": origin, "rows": [row]}, indent=1) + "\n")
    print(f"\nwrote {KEPT.name}")


def _engine_table(runs: dict[str, list[tuple[float, float]]], found: dict[str, Ratio]) -> Iterator[str]:
    steps = EPOCHS * (len(digits()[0]) // BATCH_SIZE)
    yield "| | seconds (range) | µs a step | last loss | net.js takes (quartiles) |"
    yield "|---|--:|--:|--:|--:|"
    for name, run in runs.items():
        seconds, losses = np.array(run).T
        times = f"{found[name]} times" if name in found else ""
        yield (
            f"| {name} | {np.median(seconds):.3f} ({seconds.min():.3f} to {seconds.max():.3f}) | "
            f"{np.median(seconds) / steps * 1e6:.0f} | {np.median(losses):.4f} | {times} |"
        )


def with_widgets(site: Path) -> list[str]:
    """Return the pages that have a widget."""
    has = re.compile(r'class="nnkit-touch[" ]')
    return [page for page in pages(site) if has.search((site / page).read_text(encoding="utf-8"))]


def watched(page: Any, start: float) -> Watched:
    """Return what has been seen since a moment of the page's clock."""
    page.wait_for_timeout(100)  # The browser tells of a long task after its end.
    seen = page.evaluate(_SEEN, start)
    return Watched(tuple(np.diff(seen["frames"]).tolist()), tuple(seen["tasks"]))


def play(browser: Any, address: str, *, width: int, slower: int, seconds: float) -> Iterator[tuple[str, str, Watched]]:
    """Open a page, and yield for each of its widgets what it does, and what was seen while it did."""
    with browser.new_context(viewport={"width": width, "height": 844}) as context:
        page = context.new_page()
        page.add_init_script(_WATCH)
        page.goto(address, wait_until="load")
        if slower > 1:
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
        page.wait_for_timeout(500)  # What the page does of itself is not the widgets'.
        for widget in page.locator(WIDGET).all():
            name = widget.get_attribute("id").removeprefix("touch-")
            start = page.evaluate("performance.now()")
            widget.scroll_into_view_if_needed()
            widget.evaluate(ALIVE)
            page.wait_for_timeout(300)
            yield name, "comes alive", watched(page, start)
            button = widget.get_by_role("button", name=re.compile("^Play"))
            if not button.count():
                continue
            button.first.scroll_into_view_if_needed()
            start = page.evaluate("performance.now()")
            button.first.click()
            page.wait_for_timeout(1_000 * seconds)
            yield name, "plays", watched(page, start)
            playing = widget.get_by_role("button", name=re.compile("^(Pause|Stop)"))
            if playing.count():
                playing.first.click()


def watch(options: argparse.Namespace) -> list[str]:
    """Play with the widgets of the pages, print what was seen, and return what was missed."""
    complaints = []
    chosen = options.pages or with_widgets(options.site)
    print("\n| Page | Widget | What it does | frame, ms | 95 % | longest | long tasks | longest, ms |")
    print("|---|---|---|--:|--:|--:|--:|--:|")
    look = {"width": options.width, "slower": options.slower, "seconds": options.seconds}
    with server(options.site) as base:
        for page in chosen:
            with chromium() as browser:
                for name, what, seen in play(browser, base + page, **look):
                    print(f"| {page.removesuffix('.html')} | {name} | {what} | {seen} |", flush=True)
                    if seen.tasks:
                        longest = f"the longest {max(seen.tasks):.0f} ms, at most {LONG}"
                        complaints.append(f"{page}, {name} {what}: {len(seen.tasks)} long tasks, {longest}")
    return complaints


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.touch", description=__doc__)
    parser.add_argument("pages", nargs="*", help="pages of the site (default: every page that has a widget)")
    parser.add_argument("--repeats", type=int, default=10, help="rounds of training (default 10; 0 leaves it out)")
    parser.add_argument("--seconds", type=float, default=3, help="for which each widget plays (default 3; 0: no pages)")
    parser.add_argument("--slower", type=int, default=1, help="how many times slower the pages' processor is")
    parser.add_argument("--width", type=int, default=1400, help="of the window, in pixels (default 1400)")
    parser.add_argument("--site", type=Path, default=SITE, help="folder of the built site")
    parser.add_argument("--keep", action="store_true", help=f"write the rounds of training to {KEPT.name}")
    options = parser.parse_args(arguments)
    if browser_path() is None:
        parser.error("this needs a browser")
    if options.seconds and not options.site.exists():
        parser.error("this needs the site that make book builds; --seconds 0 measures the engine alone")
    complaints = []

    if options.repeats:
        started, load = time.perf_counter(), os.getloadavg()[0]
        runs = compare(options.repeats)
        found = ratios(runs)
        print("\n".join(_engine_table(runs, found)), flush=True)
        for name, times in found.items():
            if times.low > AT_MOST:
                complaints.append(f"{NET} takes {times} times the seconds of {name}, at most {AT_MOST:g}")
        if options.keep:
            with chromium() as browser:
                version = browser.version
            keep(runs, version, started, load)

    if options.seconds:
        complaints += watch(options)
    print("\nAll goals are met." if not complaints else "\nMissed:\n" + "\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
