"""An open page in other fonts, wide and narrow, which come with Matplotlib; and what hangs out of its box there.

The fonts that a machine has decide where lines break. So the page is dressed in these, whatever there is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import pytest
from fontTools.ttLib import TTFont

_FOLDER = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FAMILIES = {  # Regular and bold, from the widest to the narrowest.
    "DejaVu Sans Mono": ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"),
    "DejaVu Serif": ("DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf"),
    "DejaVu Sans": ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    "STIX General": ("STIXGeneral.ttf", "STIXGeneralBol.ttf"),
}

# Mathematics and icons keep theirs. MathJax sizes a formula, as it sets it, by the height of the letters around it.
_WEAR = """async ([family, regular, bold]) => {
  const faces = [new FontFace(family, `url("${regular}")`), new FontFace(family, `url("${bold}")`, {weight: "700"})];
  for (const face of faces) document.fonts.add(await face.load());
  const style = document.querySelector("#worn") ?? document.head.appendChild(document.createElement("style"));
  style.id = "worn";
  style.textContent = `* { transition: none !important; }
    *:not(mjx-container *, i, svg *) { font-family: "${family}" !important; }`;
  const probe = document.body.appendChild(document.createElement("span"));
  const width = style => {
    probe.style.cssText = `position: absolute; ${style}`;
    return probe.getBoundingClientRect().width;
  };
  if (window.MathJax?.startup) {
    await MathJax.startup.promise;
    const scale = width("font-size: 16px; width: 100ex") / 16 / MathJax.startup.output.font.params.x_height;
    for (const formula of document.querySelectorAll("mjx-container")) formula.style.fontSize = `${scale}%`;
  }
  probe.textContent = "mil";
  const widths = ["400", "700"].map(weight => width(`font-size: 100px; font-weight: ${weight}`));
  probe.remove();
  const others = [...document.querySelectorAll("body *:not(mjx-container *, i, svg *, script, style)")]
    .filter(element => !getComputedStyle(element).fontFamily.includes(family)).map(element => element.tagName);
  return [widths, others];
}"""
# Text and formulas must end within the boxes around them, up to one that floats, or may be scrolled as a part of the
# text. What a box with a negative margin holds may leave the boxes around that, but must not be cut.
_HANGING = """() => {
  const found = [], boxes = new Map();
  const box = element => {
    if (!boxes.has(element)) {
      const style = getComputedStyle(element), {left, right} = element.getBoundingClientRect();
      const block = !["inline", "contents"].includes(style.display);
      boxes.set(element, {
        left, right, block,
        // Asked of the rules: `getComputedStyle` says as well that a margin is negative where a box is too wide.
        outdented: block && ["left", "right"].some(side => element.computedStyleMap().get(`margin-${side}`).value < 0),
        cuts: style.overflowX !== "visible",
        scrolls: ["auto", "scroll"].includes(style.overflowX) && !style.display.includes("table"),
        floats: style.position === "fixed" || style.position === "absolute" && !element.closest("article"),
      });
    }
    return boxes.get(element);
  };
  const check = (part, text, lines) => {
    const left = Math.min(...lines.map(line => line.left)), right = Math.max(...lines.map(line => line.right));
    let outdented = false, hanging = null;
    for (let around = part.parentElement; around !== document.body; around = around.parentElement) {
      const edge = box(around);
      if ((outdented ? edge.cuts : edge.block) && (left < edge.left - 1 || right > edge.right + 1))
        hanging ??= `"${text.trim().slice(0, 60)}" from ${left} to ${right} hangs out of `
          + `<${around.tagName} class="${around.className}"> from ${edge.left} to ${edge.right}`;
      if (edge.scrolls && around.closest("article")) return;
      if (edge.floats) break;
      outdented ||= edge.outdented;
    }
    if (hanging) found.push(hanging);
  };
  const range = document.createRange();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT, node =>
    node.nodeType === Node.TEXT_NODE ? NodeFilter.FILTER_ACCEPT
    : node.matches("mjx-container, svg, .visually-hidden") || getComputedStyle(node).clipPath === "inset(50%)"
      ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!text.data.trim()) continue;
    range.selectNodeContents(text);
    const lines = [...range.getClientRects()].filter(line => line.width);
    if (lines.length) check(text, text.data, lines);
  }
  for (const formula of document.querySelectorAll("mjx-math")) {
    const line = formula.getBoundingClientRect();
    if (line.width) check(formula, formula.textContent, [line]);
  }
  return found;
}"""


def wear(page: Any, family: str) -> None:
    """Set all text of an open file in that family, and see that it is, with the widths of its letters."""
    regular, bold = (_FOLDER / name for name in FAMILIES[family])
    widths, others = page.evaluate(_WEAR, [f"worn {family}", regular.as_uri(), bold.as_uri()])
    assert others == [], f"these keep another font: {others}"
    expected = [_width(regular, "mil"), _width(bold, "mil")]
    assert widths == pytest.approx(expected, abs=0.1), f"letters are {widths} wide, not {expected}"


def _width(path: Path, text: str) -> float:
    """Return how wide a text is at 100 pixels, as the file of the font says."""
    with TTFont(path) as font:
        glyphs = font.getBestCmap()
        return sum(font["hmtx"][glyphs[ord(letter)]][0] for letter in text) / font["head"].unitsPerEm * 100


def hanging(page: Any) -> list[str]:
    """Return each text that sticks out of a box around it, with the two."""
    return page.evaluate(_HANGING)
