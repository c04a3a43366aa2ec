"""One holder at a time, and none that has died."""

import time

import pytest

from attribution.maintenance import FolderInUse, folder_lock
from tests.support.forks import Fork


def hold(folder):
    with folder_lock(folder, "a service"):
        print("held", flush=True)
        time.sleep(60)


def test_the_second_is_told_who_is_first_and_a_killed_holder_holds_nothing(tmp_path):
    with Fork(hold, tmp_path) as process:
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
