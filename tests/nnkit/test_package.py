"""The package as a whole: light to import, complete and documented."""

import ast
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import nnkit

HEAVY = ["matplotlib", "sklearn", "scipy", "ipywidgets", "pooch", "tqdm", "IPython", "joblib", "torch", "pandas"]
HEAVY += ["threadpoolctl", "distributed", "dask"]
NEEDS = {"estimators": ["sklearn"]}


def in_a_fresh_python(code):
    """Run code in a fresh interpreter with warnings as errors; return its output."""
    folder = Path(nnkit.__file__).parents[1]
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_import_stays_light():
    loaded = in_a_fresh_python(f"import sys, nnkit; print([name for name in {HEAVY} if name in sys.modules])")
    assert loaded == "[]"


def test_heavy_imports_are_detected():
    # Shows that the test above can fail: the same check after importing a heavy module.
    pytest.importorskip("tqdm")
    loaded = in_a_fresh_python(f"import sys, nnkit, tqdm; print([name for name in {HEAVY} if name in sys.modules])")
    assert loaded == "['tqdm']"


def test_small_training_needs_only_numpy():
    code = (
        "import sys\n"
        f"for name in {HEAVY}: sys.modules[name] = None\n"
        "import nnkit\n"
        "X, y = nnkit.make_blobs(20, rng=0)\n"
        "model = nnkit.Sequential(nnkit.Linear(2, 2, rng=0))\n"
        "history = nnkit.fit(model, nnkit.CrossEntropyLoss(), nnkit.Adam(model.parameters()), X, y, epochs=1, rng=0)\n"
        "print(history.stop_reason)"
    )
    assert in_a_fresh_python(code) == "all 1 epochs done"


def test_saving_and_sweeping_work_without_fcntl(tmp_path):
    pytest.importorskip("joblib")
    code = (
        "import sys, pathlib\n"
        "sys.modules['fcntl'] = None\n"
        "import nnkit\n"
        "from lab.sweep import sweep\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "nnkit.save_checkpoint(folder / 'a.npz', nnkit.Linear(2, 2, rng=0))\n"
        "nnkit.save_checkpoint(folder / 'a.npz', nnkit.Linear(2, 2, rng=1))\n"
        "nnkit.load_checkpoint(folder / 'a.npz').restore(nnkit.Linear(2, 2, rng=2))\n"
        "train = lambda a, seed: {'sum': a + seed}\n"
        "rows = [sweep(train, {'a': [1]}, [3], store=folder / 'b', n_jobs=1, progress=False) for _ in range(2)]\n"
        "print(rows[0] == rows[1], sorted(path.name for path in folder.iterdir()))"
    )
    assert in_a_fresh_python(code) == "True ['a.npz', 'b']"


def test_all_lists_existing_names_once():
    assert [name for name in nnkit.__all__ if not hasattr(nnkit, name)] == []
    assert len(set(nnkit.__all__)) == len(nnkit.__all__)


def test_star_import_provides_everything_in_all():
    names = {}
    exec("from nnkit import *", names)
    assert set(nnkit.__all__) <= set(names)


def public_names():
    lazy = [name for name, module in nnkit._LAZY_NAMES.items() if all(map(importlib.util.find_spec, NEEDS[module]))]
    return [*nnkit.__all__, *lazy]


def test_every_public_object_is_documented():
    undocumented = []
    for name in public_names():
        thing = getattr(nnkit, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        if not thing.__doc__ or thing.__doc__.startswith(f"{name}("):  # The docstring that dataclass generates.
            undocumented.append(name)
        if inspect.isclass(thing):
            undocumented += [
                f"{name}.{member}"
                for member, value in vars(thing).items()
                if not member.startswith("_") and callable(value) and not inspect.getdoc(getattr(thing, member))
            ]
    assert undocumented == []


@pytest.mark.slow
@pytest.mark.parametrize("name", nnkit._LAZY_MODULES)
def test_lazy_modules_load_on_first_use(name):
    for needed in NEEDS.get(name, []):
        pytest.importorskip(needed)
    code = (
        "import sys, nnkit\n"
        f"assert 'nnkit.{name}' not in sys.modules\n"
        f"print(nnkit.{name}.__name__, nnkit.{name} is sys.modules['nnkit.{name}'])"
    )
    assert in_a_fresh_python(code) == f"nnkit.{name} True"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "module"), nnkit._LAZY_NAMES.items())
def test_lazy_names_load_on_first_use(name, module):
    for needed in NEEDS[module]:
        pytest.importorskip(needed)
    code = (
        "import sys, nnkit\n"
        f"assert 'nnkit.{module}' not in sys.modules\n"
        f"from nnkit import {name}\n"
        f"print({name}.__module__, {name} is nnkit.{name} is sys.modules['nnkit.{module}'].{name})"
    )
    assert in_a_fresh_python(code).startswith(f"nnkit.{module}.")
    assert in_a_fresh_python(code).endswith(" True")


def test_lazy_names_appear_in_dir_without_import():
    code = f"import sys, nnkit; print(dir(nnkit)); print([name for name in {HEAVY} if name in sys.modules])"
    listed, loaded = in_a_fresh_python(code).splitlines()
    assert loaded == "[]"
    assert set(ast.literal_eval(listed)) == {*nnkit.__all__, *nnkit._LAZY_MODULES, *nnkit._LAZY_NAMES}


def test_dir_shows_only_public_names():
    assert {name for name in dir(nnkit) if name.startswith("_")} == {"__version__"}


@pytest.mark.parametrize("name", nnkit._LAZY_NAMES)
def test_missing_scikit_learn_only_affects_estimators_and_is_explained(name):
    code = (
        "import sys\n"
        "sys.modules['sklearn'] = None\n"
        "from nnkit import *\n"
        "import nnkit\n"
        "try:\n"
        f"    nnkit.{name}\n"
        "except ImportError as error:\n"
        "    print(error)"
    )
    assert in_a_fresh_python(code) == "nnkit.estimators needs scikit-learn 1.6 or newer: pip install scikit-learn"


def test_unknown_name_raises_attribute_or_import_error():
    with pytest.raises(AttributeError, match="module 'nnkit' has no attribute 'Lineer'"):
        nnkit.Lineer  # noqa: B018
    assert not hasattr(nnkit, "Lineer")
    with pytest.raises(ImportError, match="cannot import name 'Lineer'"):
        exec("from nnkit import Lineer")


def test_version_is_a_release_number():
    assert all(part.isdigit() for part in nnkit.__version__.split(".")[:2])


@pytest.mark.parametrize(
    "name",
    [
        "activations",
        "autoencoder",
        "checkpoint",
        "callbacks",
        "data",
        "history",
        "gradcheck",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "module",
        "optimizers",
        "schedulers",
        "training",
    ],
)
def test_modules_can_be_imported_by_name(name):
    assert importlib.import_module(f"nnkit.{name}").__doc__
