"""Damaged images through the real decoder: an image, a designed refusal, and nothing else.

A thousand inputs, always the same; `make soak` decodes 20,000 of another seed each time.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault.service_process import ROOT


def fuzzed(folder: Path, *, seed: int, inputs: int) -> dict:
    """What a process found that decodes so many inputs of a seed."""
    progress = folder / "progress"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.fault.image_fuzz", str(seed), str(inputs)],
        cwd=ROOT,
        env=os.environ | {"FUZZ_PROGRESS": str(progress)},
        capture_output=True,
        text=True,
        check=False,
    )
    at = progress.read_text(encoding="ascii") if progress.exists() else "none"
    assert done.returncode == 0, f"seed {seed}, input {at} took it down: {done.stderr}"
    return json.loads(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads peaks of memory in /proc")
def test_damaged_images_are_decoded_or_refused_in_little_time_and_memory(tmp_path):
    found = fuzzed(tmp_path, seed=10, inputs=1000)
    assert found["wrong"] == []
    # Otherwise nothing would be learned of what lies behind the container.
    assert {"jpeg", "png", "webp", "gif", "corrupt-image"} <= set(found["outcomes"]), found
    assert sum(found["outcomes"].values()) == 1000
