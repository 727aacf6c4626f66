"""How much memory a program needs, measured in a fresh process.

``python -m benchmarks.memory LIBRARY TASK FOLDER`` trains one epoch on the data in the folder and prints two numbers as
JSON: how much importing the library raised the process's peak resident memory, and how much training, with the data
already loaded, raised it further.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import warnings
from pathlib import Path

from book.frameworks import LIBRARIES, TASKS

ROOT = Path(__file__).resolve().parent.parent


def peak_mb() -> float:
    """Return this process's peak resident memory, in MB.

    On Linux this is VmHWM. Elsewhere it is ``ru_maxrss``, which on Linux would include the peak of the parent process,
    and so the data of the whole benchmark.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measured(library: str, task: str, folder: Path) -> dict[str, float]:
    """Run a program in its own process on the folder's ``X.npy`` and ``y.npy``; return MB for import and training."""
    command = [sys.executable, "-m", "benchmarks.memory", library, task, str(folder)]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | one_thread, check=True, capture_output=True, text=True)
    return json.loads(ran.stdout)


def main() -> None:
    """Be that process."""
    library, name, folder = sys.argv[1:]
    task = TASKS[name]
    bare = peak_mb()
    program = importlib.import_module(f"book.frameworks.{LIBRARIES[library]}")
    network = getattr(program, name)()
    imported = peak_mb()
    import numpy as np

    X = np.load(Path(folder, "X.npy"))
    y = X if name == "autoencoder" else np.load(Path(folder, "y.npy"))
    before = peak_mb()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program.train(network, X, y, epochs=1, batch_size=task.batch_size)
    print(json.dumps({"import": round(imported - bare, 1), "training": round(peak_mb() - before, 1)}))


if __name__ == "__main__":
    main()
