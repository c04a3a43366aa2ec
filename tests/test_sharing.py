"""What tests share lies in `tests/support`: a conftest and a test are imported by nobody."""

import re
from pathlib import Path

IMPORTED = re.compile(r"^\s*(?:from|import) tests\b.*\b(?:conftest|test_\w+)\b")


def test_no_conftest_and_no_test_is_imported():
    tests = sorted(Path(__file__).parent.rglob("*.py"))
    assert len(tests) > 100
    assert not [
        f"{file}: {line}"
        for file in tests
        for line in file.read_text(encoding="utf-8").splitlines()
        if IMPORTED.match(line)
    ]
