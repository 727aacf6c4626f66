"""The browser of the site's tests, for the widgets."""

from tests.website.conftest import browser

__all__ = ["browser"]
