"""axe-core on an open page: what it finds that is serious or critical under WCAG 2 A and AA, and by some more rules."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

AXE = Path(__file__).resolve().parent / "vendor" / "axe-core" / "axe.min.js"
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
SEVERE = ("serious", "critical")
ALSO = ("region", "empty-table-header")
"""Rules of good practice that count as well."""
OF_COLOUR = ("color-contrast", "link-in-text-block")
"""The rules whose answer can change with the colours alone."""
OF_WIDTH = ("scrollable-region-focusable",)
"""The rules whose answer can change with the width alone: in a narrow window, more has to scroll."""

_READY = """async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  await document.fonts.ready;
  // By the second frame, whatever has changed has its new style, and what takes a while for it is on its way.
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
# No colour is on its way to another, and the theme has let each region that scrolls take the focus, which it does a
# while after the page has changed.
_STILL = """() => {
  const regions = "pre, .cell_output > .output, .jp-RenderedHTMLCommon, .pst-scrollable-table-container";
  const scrolls = region => region.scrollWidth > region.clientWidth || region.scrollHeight > region.clientHeight;
  return !document.getAnimations().some(one => one instanceof CSSTransition && one.playState === "running")
    && (!document.querySelector("#main-content") || [...document.querySelectorAll(regions)]
      .every(region => region.tabIndex === (scrolls(region) ? 0 : -1)));
}"""
STILL_AFTER = 3_000
"""Milliseconds after which a page is taken as it is. The theme needs 300; where it fails, axe says what is wrong."""
_OPEN = """() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const button of document.querySelectorAll("button.toggle-button-hidden")) button.click();
}"""
_RUN = """([tags, only, also]) => axe.run(document, {
  rules: only.length ? {} : Object.fromEntries(also.map(rule => [rule, {enabled: true}])),
  runOnly: only.length ? {type: "rule", values: only} : {type: "tag", values: tags},
  resultTypes: ["violations"],
  preload: false,  // Of style sheets, for a rule about rotated pages: it fetches them all again.
}).then(result => result.violations)"""


def settle(page: Any) -> None:
    """Wait until the mathematics is set, the fonts are there, and nothing moves by itself."""
    from playwright.sync_api import TimeoutError

    page.wait_for_function("!window.MathJax || !!(MathJax.startup && MathJax.startup.document)")
    page.evaluate(_READY)
    with contextlib.suppress(TimeoutError):
        page.wait_for_function(_STILL, timeout=STILL_AFTER, polling=30)


def open_everything(page: Any) -> None:
    """Unfold all hidden code and every solution."""
    page.evaluate(_OPEN)
    assert page.locator("details:not([open]), .toggle-hidden").count() == 0


def violations(page: Any, *, only: tuple[str, ...] = ()) -> str:
    """Return a line for each element that breaks a rule: which, where, its HTML, what is wrong with it; or nothing.

    `only` names rules, to try these alone.
    """
    settle(page)
    if not page.evaluate("!!window.axe"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    return "\n".join(
        f"{rule['impact']} {rule['id']} at {node['target']}: {node['html'][:200]}\n  "
        + "; ".join(check["message"] for check in node["any"] + node["all"] + node["none"])
        for rule in page.evaluate(_RUN, [TAGS, only, ALSO])
        for node in rule["nodes"]
        if rule["impact"] in SEVERE or rule["id"] in ALSO
    )


def check(page: Any, *, only: tuple[str, ...] = ()) -> None:
    """Fail with all that is found. There is no list of exceptions: what the theme gets wrong, `website` mends."""
    found = violations(page, only=only)
    assert not found, found
