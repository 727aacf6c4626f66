"""The mark of the book, a digit that is measured, and handwriting as dots: `python -m website.mark` draws both anew.

It writes static/mark.svg and static/favicon.ico, which browsers show, and pictures/digits.svg for the landing page.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw

from lab.results import write_whole

_HERE = Path(__file__).resolve().parent
MARK, ICON, DIGITS = _HERE / "static" / "mark.svg", _HERE / "static" / "favicon.ico", _HERE / "pictures" / "digits.svg"

# In a square of 32: a 3 as a hand writes it, in pieces of four points, and a bracket with ticks along its height.
_DIGIT = [
    [(13, 7.5), (15.5, 3.2), (25, 2.8), (25, 9.5)],
    [(25, 14), (20.5, 15.5), (17.5, 15.5)],
    [(22, 15.3), (27, 17.5), (26.5, 22.5)],
    [(26, 29.8), (15, 30.3), (12, 25)],
]
_MEASURE = [
    [(7.5, 3), (3.5, 3), (3.5, 29), (7.5, 29)],
    [(3.5, 9.5), (6, 9.5)],
    [(3.5, 16), (7.5, 16)],
    [(3.5, 22.5), (6, 22.5)],
]
_INK, _ACCENT = ("#25221d", "#ebe5da"), ("#b34500", "#f0975a")
"""In the light, and in the dark."""
_CURVE = 3.6
"""The width of the pen."""


def _path() -> str:
    first, *rest = _DIGIT
    drawn = f"M{first[0][0]} {first[0][1]}C" + " ".join(f"{x} {y}" for x, y in first[1:])
    return drawn + "".join("C" + " ".join(f"{x} {y}" for x, y in piece) for piece in rest)


def mark() -> str:
    """Return the mark for a page, in the colours of its theme; the name stands beside it."""
    lines = "".join("M" + "L".join(f"{x} {y}" for x, y in line) for line in _MEASURE)
    return (
        '<svg class="book-mark" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32" '
        f'fill="none" aria-hidden="true"><path class="measure" d="{lines}" stroke-width="1.8"/>'
        f'<path class="digit" d="{_path()}" stroke-width="{_CURVE}" stroke-linecap="round" '
        'stroke-linejoin="round"/></svg>'
    )


def favicon() -> str:
    """Return the mark as a file of its own, which follows the colours of the browser."""
    style = (
        f"<style>.digit{{stroke:{_INK[0]}}}.measure{{stroke:{_ACCENT[0]}}}@media(prefers-color-scheme:dark)"
        f"{{.digit{{stroke:{_INK[1]}}}.measure{{stroke:{_ACCENT[1]}}}}}</style>"
    )
    return mark().replace(' aria-hidden="true">', f">{style}") + "\n"


def _points(piece: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return points along a curve of four points."""
    a, b, c, d = piece
    steps = [i / 60 for i in range(61)]
    return [
        tuple(  # type: ignore[misc]
            (1 - t) ** 3 * a[k] + 3 * (1 - t) ** 2 * t * b[k] + 3 * (1 - t) * t**2 * c[k] + t**3 * d[k] for k in (0, 1)
        )
        for t in steps
    ]


def icon() -> bytes:
    """Return the mark as an icon, for browsers that show no SVG: it stands on paper, whatever is behind it."""
    scale = 32
    image = Image.new("RGBA", (32 * scale, 32 * scale))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, 32 * scale - 1, 32 * scale - 1), radius=5 * scale, fill="#fffdf9")
    for line in _MEASURE:
        draw.line([(x * scale, y * scale) for x, y in line], fill=_ACCENT[0], width=2 * scale)
    radius = _CURVE / 2 * scale
    begin: list[tuple[float, float]] = []
    for piece in _DIGIT:
        curve = _points([*begin, *piece])
        begin = [piece[-1]]
        for x, y in curve:
            draw.ellipse((x * scale - radius, y * scale - radius, x * scale + radius, y * scale + radius), fill=_INK[0])
    written = io.BytesIO()
    image.resize((64, 64), Image.Resampling.LANCZOS).save(written, "ICO", sizes=[(16, 16), (32, 32), (48, 48)])
    return written.getvalue()


def digits() -> str:
    """Return handwritten digits of scikit-learn as dots, one a pixel: the more ink, the larger."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    drawn = []
    for digit in range(10):
        of_one = pictures[labels == digit]
        typical = ((of_one - of_one.mean(axis=0)) ** 2).sum(axis=1).argmin()
        picture = of_one[typical].reshape(8, 8)
        dots = "".join(
            f'<circle cx="{x * 8 + 4}" cy="{y * 8 + 4}" r="{0.6 + 3.4 * ink / 16:.1f}"/>'
            for y, row in enumerate(picture)
            for x, ink in enumerate(row)
        )
        drawn.append(f'<g transform="translate({digit * 76} 0)">{dots}</g>')
    return (
        '<svg class="book-digits" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 748 64" role="img" '
        'aria-label="The digits 0 to 9 in handwriting, each in eight rows of eight dots: the more ink, the larger">'
        + "".join(drawn)
        + "</svg>\n"
    )


def main() -> None:
    """Write the files."""
    write_whole(MARK, favicon())
    ICON.write_bytes(icon())
    write_whole(DIGITS, digits())


if __name__ == "__main__":
    main()
