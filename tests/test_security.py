"""`docs/security.md` names, for each promise, tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")


def test_the_test_behind_every_promise_exists():
    rows = re.findall(
        r"^\| (?!promise|who|---)(.+) \| (.+) \|$",
        (ROOT / "docs" / "security.md").read_text(encoding="utf-8").partition("## Promises")[2],
        re.MULTILINE,
    )
    assert len(rows) > 25
    for promise, held_by in rows:
        named = NAMED.findall(held_by)
        assert named, f"nothing holds: {promise}"
        for path, test in named:
            text = (ROOT / "tests" / path).read_text(encoding="utf-8")
            assert not test or f"def test_{test}(" in text, f"{path} has no test_{test}"
