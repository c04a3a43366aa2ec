"""What `tests.support.forks` forks from: all is imported, nothing computed, no thread begun."""

from __future__ import annotations

import gc
import importlib.util
import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported
for _name in (
    "torch.distributed.run",
    "app.cli.main",
    "app.factory",
    "app.server",
    "attribution.maintenance",
    "tests.support.service",
    "pymilvus",
):
    if importlib.util.find_spec(_name) is not None:  # an extra's may not be there
        importlib.import_module(_name)
gc.freeze()  # no process forked from here looks for garbage in what all of them share
