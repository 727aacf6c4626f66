"""What `import lab` exposes, loads and requires."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lab


def test_dir_shows_only_public_names_and_all_exist():
    names = dir(lab)
    assert {"claim", "interval", "load_store", "plots", "sliders", "sweep"} <= set(names)
    assert set(lab.__all__) <= set(names)
    assert not [name for name in names if name.startswith("_") or not hasattr(lab, name)]
    assert not {"annotations", "importlib", "Any"} & set(names)
    with pytest.raises(AttributeError, match="clam"):
        _ = lab.clam


@pytest.mark.parametrize(
    ("code", "missing", "package"),
    [
        ("from lab import plots", "matplotlib", "matplotlib"),
        ("import lab.plots", "PIL", "pillow"),
        ("from lab import claim", "scipy", "scipy"),
        ("from lab.claims import claim", "IPython", "ipython"),
        ("from lab import sliders; sliders.lab(len, title='t', a=[1]).widget()", "ipywidgets", "ipywidgets"),
        ("from lab.touch.widget import Touch", "anywidget", "anywidget"),
    ],
)
def test_missing_package_is_reported_in_one_sentence_with_its_install_command(code, missing, package):
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules[{missing!r}] = None\n{code}"], capture_output=True, text=True
    )
    assert run.stderr.rstrip().splitlines()[-1].endswith(f" needs {package}: pip install {package}")


def test_training_worker_imports_neither_scipy_nor_matplotlib():
    code = "import sys, lab.provenance, lab.sweep; print([m for m in ('scipy', 'matplotlib') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
