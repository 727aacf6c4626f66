"""A lab and widgets in JupyterLab, with a kernel: the picture answers, and Python sees what the hand did."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.patience import PATIENCE, wait_until

BOOK = Path(__file__).resolve().parents[2] / "book"
CHAPTER = BOOK / "part1-foundations" / "01-linear-regression.ipynb"

pytestmark = pytest.mark.site


def notebook_of_lab():
    """Return a notebook that holds only a chapter's setup and its lab."""
    notebook = nbformat.read(CHAPTER, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if {"setup", "lab"} & set(cell.metadata.get("tags", []))]
    notebook.cells[0].source = notebook.cells[0].source.replace('".."', repr(str(BOOK)))
    # Four frames are enough to see that the widget is alive, and are drawn soon.
    lab = notebook.cells[-1]
    lab.source = re.sub(r"(learning_rate=\[[\d.]+, [\d.]+),[^]]*", r"\1", lab.source)
    lab.source = re.sub(r"(batch_size=\[\d+, \d+),[^]]*", r"\1", lab.source)
    for cell in notebook.cells:
        cell.outputs, cell.execution_count = [], None
    return notebook


def notebook_of_widgets():
    """Return a notebook with widgets, and a cell that says what Python sees of them."""
    sources = (
        "from lab import touch\nfrom lab.touch import ask\n\nplayground = touch.Playground(seed=7)\nplayground",
        "pad = touch.Pad()\npad",
        "box = ask.predict(5)\nbox",
        "print('Python sees', playground.width, playground.epoch, int((pad.digit > 0.5).sum()), box.answers)",
    )
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


@pytest.fixture
def jupyterlab(tmp_path, request):
    """Start JupyterLab on a notebook, the test's `notebook`; yield its address."""
    nbformat.write(request.param(), tmp_path / "lab.ipynb")
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0", "--ip=127.0.0.1"),
        *("--IdentityProvider.token=", "--ServerApp.password=", "--allow-root", f"--ServerApp.root_dir={tmp_path}"),
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    ]
    environment = os.environ | {
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
    }
    log = tmp_path / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            address = re.compile(r"(http://127\.0\.0\.1:\d+)/lab")
            said = functools.partial(log.read_text, encoding="utf-8")
            wait_until(lambda: address.search(said()) or server.poll() is not None, tmp_path)
            assert server.poll() is None, said()
            yield address.search(said())[1]
        finally:
            server.terminate()
            wait_until(lambda: server.poll() is not None, tmp_path)


def run_all_cells(page):
    """Choose Run All Cells in the menu, again if JupyterLab was not ready to hear it."""
    for _ in range(PATIENCE // 15):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
        for _ in range(75):
            if page.locator(".jp-InputArea-prompt").first.inner_text().strip() not in ("[ ]:", ""):
                return
            page.wait_for_timeout(200)
    pytest.fail(f"JupyterLab has not heard that it is to run the cells, {PATIENCE // 15} times")


def opened(context, address):
    """Open the notebook in JupyterLab, run all of it, and return the page."""
    page = context.new_page()
    # On a busy machine JupyterLab may ask something first, such as for a kernel; its own answer is taken.
    page.add_locator_handler(page.locator("dialog.jp-Dialog"), lambda dialog: dialog.locator(".jp-mod-accept").click())
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(f"{address}/lab/tree/lab.ipynb?reset")
    page.locator(".jp-NotebookPanel .jp-Cell").nth(1).wait_for()
    # Cells that are run before the kernel is there are forgotten.
    page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()
    run_all_cells(page)
    return page


@pytest.mark.parametrize("jupyterlab", [notebook_of_lab], indirect=True, ids=["lab"])
def test_lab_is_alive_in_jupyterlab(browser, jupyterlab):
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    page = opened(context, jupyterlab)

    # The live widget is shown, not the static HTML beside it.
    output = page.locator(".jp-OutputArea-output .widget-vbox")
    image = output.locator("img")
    readout = output.locator("[aria-live=polite]")
    try:
        readout.wait_for()
    except Exception as error:
        shown = page.locator(".jp-OutputArea").all_inner_texts()
        raise AssertionError(f"no live widget appeared; the cells show {shown}") from error
    assert page.locator(".jp-OutputArea-output .nnkit-lab").count() == 0
    before = image.get_attribute("src"), readout.inner_text()
    assert before[1].startswith("Learning rate 0.001, batch size 1.")

    handle = output.locator(".noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('.widget-vbox [aria-live]').innerText !== before", arg=before[1]
    )
    assert readout.inner_text().startswith("Learning rate 0.003, batch size 1.")
    assert image.get_attribute("src") != before[0]
    context.close()


@pytest.mark.parametrize("jupyterlab", [notebook_of_widgets], indirect=True, ids=["widgets"])
def test_python_sees_what_the_hand_did_in_jupyterlab(browser, jupyterlab):
    context = browser.new_context(viewport={"width": 1300, "height": 3000})
    page = opened(context, jupyterlab)
    said = page.locator(".jp-OutputArea-output").filter(has_text="Python sees").last
    said.wait_for()
    assert said.inner_text().strip() == "Python sees 2 0 0 {}"
    playground, pad, box = (page.locator(".jp-OutputArea-output .nnkit-touch").nth(i) for i in range(3))

    width = playground.get_by_role("slider", name="width")
    width.focus()
    page.keyboard.press("ArrowRight")  # JupyterLab would go to another cell.
    playground.get_by_role("button", name=re.compile("step", re.I)).first.click()
    drawing = pad.locator("canvas").first
    drawing.scroll_into_view_if_needed()
    place = drawing.bounding_box()
    across, down = place["x"] + place["width"] / 2, place["y"]
    page.mouse.move(across, down + 0.25 * place["height"])
    page.mouse.down()
    page.mouse.move(across, down + 0.75 * place["height"], steps=12)
    page.mouse.up()
    number = box.get_by_role("spinbutton").first
    number.fill("950")
    box.get_by_role("button", name=re.compile("Commit")).first.click()

    cell = page.locator(".jp-CodeCell").last
    for _ in range(PATIENCE // 5):  # What the hand did is on its way to Python.
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(1000)
        found = re.search(r"Python sees (\d+) (\d+) (\d+) \{(.*)\}", said.inner_text())
        if found and found[4] and int(found[2]) and int(found[3]):
            break
    assert found, said.inner_text()
    assert found[1] == "3"
    assert int(found[2]) >= 1
    assert int(found[3]) > 20  # Pixels with ink.
    assert "950" in found[4]
    context.close()
