"""Two processes under torchrun, for tests of training on several."""

import importlib
from collections.abc import Callable
from pathlib import Path

from torch.distributed import run
from torch.distributed.launcher.api import elastic_launch

from tests.support.forks import Fork

Work = Callable[[Path], None]


def on_two_processes(work: Work, folder: Path) -> None:
    """Run `work(folder)` in two gloo processes with a thread each."""
    with Fork(_launch, work, folder, GLOO_SOCKET_IFNAME="lo") as process:
        _, err = process.communicate(timeout=1800)
    assert process.returncode == 0, err[-3000:]


def _launch(work: Work, folder: Path) -> None:
    """What torchrun does, but that its two processes are forks, which import nothing again."""
    importlib.import_module("timm")  # four seconds, which each of the two would take
    standalone = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--rdzv-id", "one"]
    order = [*standalone, "--nproc-per-node", "2", "--start-method", "fork", "no script"]
    config, *_ = run.config_from_args(run.parse_args(order))
    elastic_launch(config, work)(folder)
