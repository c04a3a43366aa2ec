"""One holder at a time, and none that has died."""

import threading
import time

import pytest

from attribution.folder_lock import FolderInUse, Listening, folder_lock, listening_on
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


def test_whoever_comes_while_it_is_held_briefly_waits(tmp_path):
    done = threading.Event()

    def second():
        with folder_lock(tmp_path, "a service"):
            done.set()

    with folder_lock(tmp_path, "a command that saves the index", brief=True):
        thread = threading.Thread(target=second)
        thread.start()
        assert not done.wait(0.2)
    assert done.wait(30)
    thread.join()


def test_but_not_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("attribution.folder_lock._PATIENCE", 0.1)
    with (
        folder_lock(tmp_path, "a command", brief=True),
        pytest.raises(FolderInUse, match="a command"),
        folder_lock(tmp_path, "a service"),
    ):
        pytest.fail("two holders")


def test_others_are_told_where_a_service_listens_until_it_ends(tmp_path):
    told = Listening("http://127.0.0.1:8000", "a" * 16, "b" * 16)
    assert listening_on(tmp_path) is None
    with folder_lock(tmp_path, "a service") as held:
        assert listening_on(tmp_path) is None
        held.listens(told)
        assert listening_on(tmp_path) == told
    assert listening_on(tmp_path) is None


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"a service (process 1)\n", b'{"purpose": 1}', b"\xff"]
)
def test_what_makes_no_sense_in_the_file_is_no_service(tmp_path, said):
    (tmp_path / "service.lock").write_bytes(said)
    assert listening_on(tmp_path) is None
    with folder_lock(tmp_path, "a service"):
        pass
