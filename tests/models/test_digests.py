"""A file is known again by all of its bytes."""

import hashlib
import os

import pytest

from models.digests import sha256_of


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_the_digest_is_that_of_the_whole_file(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(data).hexdigest()
