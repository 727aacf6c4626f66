"""What pytest and the kernels that it starts need before NumPy is loaded, with and without make."""

import os

# As in the Makefile, which says why.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
