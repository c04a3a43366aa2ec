"""What holds for every test: workers side by side share the cores instead of fighting for them."""

import os

import hypothesis

if "PYTEST_XDIST_WORKER" in os.environ:
    # Read when torch is first imported, which no plugin does.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
