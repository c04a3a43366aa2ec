"""One holder at a time, and none that has died."""

import subprocess
import sys

import pytest

from attribution.maintenance import FolderInUse, folder_lock

HOLDER = """
import sys, time
from pathlib import Path
from attribution.maintenance.folder_lock import folder_lock

with folder_lock(Path(sys.argv[1]), "a service"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_is_first_and_a_killed_holder_holds_nothing(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        first = rf"a service \(process {process.pid}\)"
        with pytest.raises(FolderInUse, match=first), folder_lock(tmp_path, "a restore"):
            pytest.fail("two holders")
        process.kill()
        process.wait()
        with folder_lock(tmp_path, "a restore"):
            pass


def test_within_one_process_too(tmp_path):
    refused = pytest.raises(FolderInUse, match="first")
    with folder_lock(tmp_path, "first"), refused, folder_lock(tmp_path, "second"):
        pytest.fail("two holders")
    with folder_lock(tmp_path, "third"):
        pass
