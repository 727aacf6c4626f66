"""What all widgets have in common: one module, alive in a notebook through anywidget and on a page through our host."""

from __future__ import annotations

import html
import importlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from lab import needed_by
from lab.drawings import both, drawings
from lab.touch.modules import module, style

with needed_by(__name__):
    import anywidget
    import traitlets as traits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Touch", "remade", "traits"]

MAX_BYTES = 700_000
"""The largest HTML that a widget may put on a page, its weights included."""

Tries = Iterable[tuple[str, Mapping[str, Any] | None]]

_PAGE = (
    '<div class="nnkit-touch" id="{id}" role="group" aria-label="{title}" data-touch="{module}">'
    '<p class="nnkit-touch-title">{title}</p><p class="nnkit-touch-question">{question}</p>'
    '<div class="nnkit-touch-live">{still}</div>{tries}'
    '<script type="application/json">{data}</script></div>'
)


class Touch(anywidget.AnyWidget):
    """A widget that answers the hand, in JupyterLab and on the published page; the base of all of them.

    Parameters
    ----------
    name : str, optional
        What it is called in the page's address, after ``touch-``; without it, its module's name.
    title, question : str, optional
        Its heading, and what stands above it, in place of the class's own.
    tries : iterable of (str, dict or None), optional
        Things to try, each with the state to set for it, in place of the class's own.
    **settings
        The traits to start with.

    Raises
    ------
    TypeError
        If a setting is not one of the widget's.
    ValueError
        If a value is not possible: the message names the setting, what came and what was expected.
    """

    module: ClassVar[str]
    still_says: ClassVar[str]
    static_says: ClassVar[str] = "This picture answers your hand where JavaScript runs, or in a running notebook."
    title = traits.Unicode().tag(sync=True)
    question = traits.Unicode().tag(sync=True)
    tries: Any = traits.List().tag(sync=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A class says its words plainly; the traits of the base carry them to the page.
        for name in ("title", "question", "tries"):
            said = cls.__dict__.get(name)
            if said is not None and not isinstance(said, traits.TraitType):
                trait = traits.List(_listed(said)) if name == "tries" else traits.Unicode(said)
                trait.class_init(cls, name)
                setattr(cls, name, trait.tag(sync=True))
        if "module" in cls.__dict__:
            cls._esm, cls._css = module(cls.module), style(cls.module)

    def __init__(self, *, name: str | None = None, tries: Tries | None = None, **settings: Any) -> None:
        if wrong := sorted(set(settings) - set(self.trait_names())):
            own = ", ".join(["name", *self._shown()])
            raise TypeError(f"{wrong[0]} is no setting of {type(self).__name__}; expected one of {own}")
        if name is not None and not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise ValueError(f"name must be lower-case letters, digits and hyphens; got {name!r}")
        if tries is not None:
            settings["tries"] = _listed(tries)
        try:
            super().__init__(**settings)
        except traits.TraitError as error:
            raise ValueError(str(error)) from error
        self.name = name or self.module
        self._start = {key: self.get_state(key)[key] for key in self._shown()}

    def _shown(self) -> list[str]:
        """Return the names of the traits that the module reads."""
        standard = set(anywidget.AnyWidget.class_trait_names()) | {"layout", "tabbable", "tooltip", "_esm", "_css"}
        own = (key for key in self.trait_names(sync=True) if key not in standard and not key.startswith("_"))
        return sorted(own)

    @property
    def id(self) -> str:
        """The name of the widget in the page's address."""
        return f"touch-{self.name}"

    def still(self) -> Figure | None:
        """Return what stands there without JavaScript and in print, if anything."""
        return None

    def html(self) -> str:
        """Return the widget as HTML: a still picture, and the state that the page's host brings to life.

        Raises
        ------
        ValueError
            If it is larger than `MAX_BYTES`.
        """
        state = {key: value for key, value in self._start.items() if key not in ("title", "question", "tries")}
        weights = ""
        recipe = self.recipe()
        if recipe is not None and state["data"] == self.get_state("data")["data"]:
            weights = json.dumps(state["data"], separators=(",", ":"))
            state["data"] = {"made_by": type(self).__name__, "from": recipe}
        page = _PAGE.format(
            id=self.id,
            module=self.module,
            title=html.escape(self.title),
            question=html.escape(self.question),
            still=self.static_html() + (self.static_says and f'<p class="nnkit-touch-static">{self.static_says}</p>'),
            tries=self._tries_html(),
            # "</" would end the script, even inside a string.
            data=json.dumps({"state": state}, separators=(",", ":")).replace("</", "<\\/"),
        )
        if (size := len(page.encode()) + len(weights)) > MAX_BYTES:
            raise ValueError(f"a widget must be at most {MAX_BYTES // 1000} kB as HTML; got {size / 1000:.0f} kB")
        return page

    def recipe(self) -> dict[str, Any] | None:
        """Return the settings from which the trait ``data`` follows, so that no notebook has to hold it; or None."""
        return None

    def static_html(self) -> str:
        """Return what the page shows where no JavaScript runs: the still picture and its caption."""
        figure = self.still()
        if figure is None:
            return ""
        picture = both(drawings(figure, whole=True))
        with needed_by(__name__):
            import matplotlib.pyplot as plt
        plt.close("all")  # The drawing for a phone may be another figure.
        says = html.escape(self.still_says)
        return (
            f'<div class="nnkit-touch-still" role="img" aria-label="{says}">{picture}</div>'
            f'<p class="nnkit-touch-caption">{says}</p>'
        )

    def _tries_html(self) -> str:
        items = []
        for text, state in self.tries:
            query = html.escape(urlencode(state or {}))
            # Not a link: the theme takes every address behind a # for the name of a place.
            start = '<button type="button" class="nnkit-touch-button nnkit-touch-try" hidden '
            link = f' {start}data-state="{query}">Try it</button>' if state else ""
            items.append(f"<li>{html.escape(text)}{link}</li>")
        return f'<ul class="nnkit-touch-tries">{"".join(items)}</ul>' if items else ""

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        live: Any = super()._repr_mimebundle_(**kwargs)
        data, metadata = live if isinstance(live, tuple) else (live, {})
        return {**(data or {}), "text/plain": repr(self), "text/html": self.html()}, metadata

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.title!r})"


def remade(data: dict[str, Any]) -> dict[str, Any]:
    """Return the ``data`` of a widget: as they are, or from the `recipe` that stands in their place."""
    if "made_by" not in data:
        return data
    made: Touch = getattr(importlib.import_module("lab.touch"), data["made_by"])(**data["from"])
    return made.get_state("data")["data"]


def _listed(tries: Tries) -> list[list[Any]]:
    return [[text, dict(state) if state else None] for text, state in tries]
