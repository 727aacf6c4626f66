"""axe-core on an open page: what it finds that is serious or critical under WCAG 2 A and AA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

AXE = Path(__file__).resolve().parent / "vendor" / "axe-core" / "axe.min.js"
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
SEVERE = ("serious", "critical")
OF_COLOUR = ("color-contrast", "link-in-text-block")
"""The rules whose answer can change with the colours alone."""

_SETTLED = """async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  await document.fonts.ready;
  // The theme looks for regions that scroll 300 ms after the last change to the page.
  await new Promise(done => setTimeout(done, 450));
}"""
_OPEN = """() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const button of document.querySelectorAll("button.toggle-button-hidden")) button.click();
}"""
_RUN = """([tags, only, without]) => axe.run(document, {
  runOnly: only.length ? {type: "rule", values: only} : {type: "tag", values: tags},
  rules: Object.fromEntries(without.map(rule => [rule, {enabled: false}])),
  resultTypes: ["violations"],
  preload: false,  // Of style sheets, for a rule about rotated pages: it fetches them all again.
}).then(result => result.violations)"""


def settle(page: Any) -> None:
    """Wait until the mathematics is set and the theme has measured the page."""
    page.evaluate(_SETTLED)


def open_everything(page: Any) -> None:
    """Unfold all hidden code and every solution."""
    page.evaluate(_OPEN)
    assert page.locator("details:not([open]), .toggle-hidden").count() == 0


def violations(page: Any, *, only: tuple[str, ...] = (), without: tuple[str, ...] = ()) -> str:
    """Return a line for each element that breaks a rule: which, where, its HTML, what is wrong with it; or nothing.

    `only` and `without` name rules, to try these alone or all but these.
    """
    settle(page)
    if not page.evaluate("!!window.axe"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    return "\n".join(
        f"{rule['impact']} {rule['id']} at {node['target']}: {node['html'][:200]}\n  "
        + "; ".join(check["message"] for check in node["any"] + node["all"] + node["none"])
        for rule in page.evaluate(_RUN, [TAGS, only, without])
        for node in rule["nodes"]
        if rule["impact"] in SEVERE
    )


def check(page: Any, *, only: tuple[str, ...] = (), without: tuple[str, ...] = ()) -> None:
    """Fail with all that is found. There is no list of exceptions: what the theme gets wrong, `website` mends."""
    found = violations(page, only=only, without=without)
    assert not found, found
