"""What holds for every test: workers side by side share the cores instead of fighting for them."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Read when torch is first imported, which no plugin does.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
