"""How long a page of the built site takes to show itself to a reader with a slow line, and with a slow processor.

`python -m benchmarks.site` opens every page in headless Chromium, on a phone, with an empty cache, over a line of 1.6
Mbit/s and 150 ms that the browser itself imitates, from a server on this machine that packs with gzip; then again with
a processor four times slower. It prints a table of the medians, and ends with 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.server
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from website.pdf import SITE, browser_path, chromium

BITS_PER_SECOND, LATENCY = 1.6e6, 150
SLOWER = 4
GOALS = {1: 2_000, SLOWER: 3_500}
"""Milliseconds to the first and the largest paint, by how many times slower the processor is."""
MAX_BYTES, MAX_SHIFT = 280_000, 0.02
"""Bytes, as packed, before the first screen is readable, and how far what is on it may be moved about (CLS)."""
PACKED = (".html", ".css", ".js", ".svg", ".json", ".xml", ".txt")
AFTER = 1_500
"""Milliseconds after the page has loaded in which it may still change."""

# The observers stand before anything is painted. Shifts within half a second of an input do not count, as in CLS.
_OBSERVE = """
window.seen = {first: 0, largest: 0, what: "", shift: 0, moved: [], blocked: 0};
new PerformanceObserver(list => {
  for (const one of list.getEntries()) if (one.name === "first-contentful-paint") seen.first = one.startTime;
}).observe({type: "paint", buffered: true});
new PerformanceObserver(list => {
  for (const one of list.getEntries()) {
    seen.largest = one.startTime;
    seen.what = one.url?.split("/").pop() || one.element?.textContent?.trim().slice(0, 40) || "";
  }
}).observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver(list => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) {
    seen.shift += one.value;
    for (const {node} of one.sources) seen.moved.push((node?.outerHTML ?? node?.textContent ?? "").slice(0, 80));
  }
}).observe({type: "layout-shift", buffered: true});
new PerformanceObserver(list => {
  for (const one of list.getEntries()) seen.blocked += Math.max(0, one.duration - 50);
}).observe({type: "longtask", buffered: true});
"""
BLOCKING = """() => performance.getEntriesByType("resource")
  .filter(one => one.renderBlockingStatus === "blocking").map(one => new URL(one.name).pathname)"""
"""What a page must have before it can paint anything, beside itself."""


@dataclass(frozen=True)
class Visit:
    """What one visit has shown: milliseconds, bytes as packed until the largest paint, and requests that block."""

    first: float
    largest: float
    blocked: float
    n_bytes: int
    n_blocking: int
    shift: float
    what: str
    moved: tuple[str, ...]


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine, packed as hosts of static pages do, and yield its address."""
    packed: dict[Path, bytes] = {}

    class Packing(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = Path(self.translate_path(self.path))
            if path.is_dir():
                path /= "index.html"
            if not path.is_file():
                self.send_response(204 if path.name == "favicon.ico" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            packs = path.suffix in PACKED
            if path not in packed:
                packed[path] = gzip.compress(path.read_bytes()) if packs else path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", self.guess_type(str(path)))
            if packs:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(packed[path])))
            self.end_headers()
            self.wfile.write(packed[path])

        def log_message(self, *args: Any) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64  # A browser opens several connections at once.

        def handle_error(self, *args: Any) -> None:  # The browser hangs up when it is closed.
            pass

    served = Quiet(("127.0.0.1", 0), lambda *args: Packing(*args, directory=str(folder)))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{served.server_port}/"
    finally:
        served.shutdown()
        served.server_close()


def visit(browser: Any, address: str, *, width: int = 390, slower: int = 1, throttled: bool = True) -> Visit:
    """Open a page in a window that knows no other, and return what was seen."""
    with browser.new_context(viewport={"width": width, "height": 844}, device_scale_factor=2) as context:
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.add_init_script(_OBSERVE)
        protocol = context.new_cdp_session(page)
        protocol.send("Network.enable")
        if throttled:
            line = {"latency": LATENCY, "downloadThroughput": BITS_PER_SECOND / 8, "uploadThroughput": 1e5}
            protocol.send("Network.emulateNetworkConditions", {"offline": False, **line})
        if slower > 1:
            protocol.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        began: list[float] = []
        came: list[tuple[float, int]] = []
        protocol.on("Network.requestWillBeSent", lambda event: began.append(event["timestamp"]))
        protocol.on("Network.dataReceived", lambda event: came.append((event["timestamp"], event["encodedDataLength"])))
        page.goto(address, wait_until="load")
        page.wait_for_timeout(AFTER if throttled else 300)
        seen = page.evaluate("seen")
        blocking = page.evaluate(BLOCKING)
        readable = began[0] + max(seen["first"], seen["largest"]) / 1_000
        return Visit(
            seen["first"],
            seen["largest"],
            seen["blocked"],
            sum(size for moment, size in came if moment <= readable),
            len(blocking),
            seen["shift"],
            seen["what"],
            tuple(seen["moved"]),
        )


def missed(seen: Visit, slower: int) -> list[str]:
    """Return the goals that a visit missed, in words."""
    found = []
    if max(seen.first, seen.largest) > GOALS[slower]:
        found.append(f"paint after {max(seen.first, seen.largest):.0f} ms, at most {GOALS[slower]}")
    if seen.n_bytes > MAX_BYTES:
        found.append(f"{seen.n_bytes / 1_000:.0f} kB before it is readable, at most {MAX_BYTES / 1_000:.0f}")
    if seen.shift >= MAX_SHIFT:
        found.append(f"layout shift {seen.shift:.3f}, below {MAX_SHIFT}")
    return found


def median(visits: Sequence[Visit]) -> Visit:
    """Return the visit whose largest paint is the median; of an even number, the slower one."""
    return sorted(visits, key=lambda seen: max(seen.first, seen.largest))[len(visits) // 2]


def pages(site: Path = SITE) -> list[str]:
    """Return every page that one can read; index.html at the root only leads to the first."""
    found = sorted(str(path.relative_to(site)) for path in site.rglob("*.html") if "_static" not in path.parts)
    return [page for page in found if page != "index.html"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the pages that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.site", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="PART", help="pages whose name holds one of these")
    parser.add_argument(
        "--repeats", type=int, default=3, help="visits to a page, of which the median counts (default 3)"
    )
    parser.add_argument("--width", type=int, default=390, help="of the window, in pixels (default 390)")
    parser.add_argument("--why", action="store_true", help="say what was painted last, and what was moved")
    parser.add_argument("--site", type=Path, default=SITE, help="folder of the built site")
    options = parser.parse_args(arguments)
    if browser_path() is None or not options.site.exists():
        parser.error("this needs a browser, and the site that make book builds")
    chosen = [page for page in pages(options.site) if not options.only or any(part in page for part in options.only)]
    print("| Page | first, ms | largest, ms | 4x: first | 4x: largest | 4x: blocked | kB packed | blocking | shift |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    complaints = []
    with server(options.site) as base:
        for page in chosen:
            with chromium() as browser:  # A new one each time: after some dozens of slow visits, it stops loading.
                visit(browser, base + page, throttled=False)  # The first window takes longer than others.
                seen = {
                    slower: median(
                        [
                            visit(browser, base + page, width=options.width, slower=slower)
                            for _ in range(options.repeats)
                        ]
                    )
                    for slower in GOALS
                }
            one, four = seen[1], seen[SLOWER]
            shift = max(one.shift, four.shift)
            print(
                f"| {page.removesuffix('.html')} | {one.first:.0f} | {one.largest:.0f} | {four.first:.0f} | "
                f"{four.largest:.0f} | {four.blocked:.0f} | {one.n_bytes / 1_000:.0f} | {one.n_blocking} | "
                f"{shift:.3f} |",
                flush=True,
            )
            if options.why:
                print(f"  last: {one.what!r}; moved: {sorted(set(one.moved + four.moved))}", flush=True)
            complaints += [
                f"{page}, {slower}x: {line}" for slower, found in seen.items() for line in missed(found, slower)
            ]
    print("\nAll goals are met." if not complaints else "\nMissed:\n" + "\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
