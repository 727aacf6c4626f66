"""One browser for all tests of the site, in one process, and the site behind localhost."""

from __future__ import annotations

import functools
import http.server
import os
import threading

import pytest

from tests.website.visit import SITE, Window


@pytest.fixture(scope="package")
def browser():
    """Return the browser.

    It lives for this folder, not for the session, since Playwright's loop would stay in the way of others.
    """
    pdf = pytest.importorskip("website.pdf")
    if pdf.browser_path() is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have a browser; .ci/run installs Debian's chromium")
        pytest.skip(f"no browser is installed: none of {', '.join(pdf.BROWSERS)} is on the PATH")
    # All other hosts are out of reach.
    with pdf.chromium("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost") as browser:
        yield browser


@pytest.fixture(scope="package")
def window(browser):
    """Return a window that stays open from page to page: the first page in a window takes as long as two."""
    with Window(browser) as window:
        yield window


@pytest.fixture(scope="package")
def localhost():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/favicon.ico":  # For which the browser asks by itself.
                self.send_response(204)
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
