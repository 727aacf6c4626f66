"""Cut the site's fonts to the letters it shows: `python -m website.fonts FOLDER` writes static/fonts.

FOLDER holds, in any folders below it, what npm's @fontsource-variable/source-serif-4, source-sans-3 and source-code-pro
unpack to (`npm pack NAME`, `tar xzf`). It needs the package `brotli`, which nothing else here does; `make book` takes
the results.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

FOLDER = Path(__file__).resolve().parent / "static" / "fonts"
MAX_BYTES = 120_000
LETTERS = [
    *range(0x20, 0x7F),
    *range(0xA0, 0x180),
    *range(0x2009, 0x204A),
    0x20AC,
    0x2192,
    0x2212,
    0x2248,
    0x2264,
    0x2265,
]
FACES: dict[str, tuple[str, tuple[float, float] | float]] = {
    "book-serif": ("source-serif-4-latin-wght-normal.woff2", (400, 700)),
    "book-serif-italic": ("source-serif-4-latin-wght-italic.woff2", 400),
    "book-sans": ("source-sans-3-latin-wght-normal.woff2", (400, 700)),
    "book-code": ("source-code-pro-latin-wght-normal.woff2", 400),
}
"""Each face's name, the file it is cut from, and the weights it keeps: a range, or one."""


def cut(source: Path, target: Path, weights: tuple[float, float] | float) -> None:
    """Write the part of a variable font that has these weights and the site's letters, as WOFF2."""
    with TTFont(source, recalcTimestamp=False) as font:
        options = Options(layout_features=["kern", "liga", "mark", "locl", "ccmp"], notdef_outline=True, hinting=False)
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=LETTERS)
        subsetter.subset(font)
        instantiateVariableFont(font, {"wght": weights}, inplace=True)
        # "Source" is a reserved name, which the licence leaves to the fonts as they were.
        for record in font["name"].names:
            if record.nameID in (1, 3, 4, 6, 16, 25):
                record.string = target.stem
        font.flavor = "woff2"
        font.save(target)


def main(folder: Path) -> None:
    """Cut every face, and put each family's licence beside them."""
    FOLDER.mkdir(exist_ok=True)
    for name, (file, weights) in FACES.items():
        source = next(folder.rglob(file))
        cut(source, FOLDER / f"{name}.woff2", weights)
        licence = source.parents[1] / "LICENSE"
        shutil.copyfile(licence, FOLDER / f"LICENSE-{name.removesuffix('-italic')}.txt")
    size = sum(path.stat().st_size for path in FOLDER.glob("*.woff2"))
    print(f"{size / 1000:.0f} kB in {len(FACES)} files")
    assert size <= MAX_BYTES


if __name__ == "__main__":
    main(Path(sys.argv[1]))
