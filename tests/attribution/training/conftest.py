"""Two processes under torchrun, for tests of training on several."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def execute(script: Path, folder: Path) -> None:
    """Run `script FOLDER` in two gloo processes with a thread each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", str(script), str(folder)]  # fmt: skip
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="session")
def on_two_processes() -> Callable[[Path, Path], None]:
    return execute
