"""Damaged images through the real decoder: an image, a designed refusal, and nothing else.

A thousand inputs, always the same; `make soak` decodes 20,000 of another seed each time.
"""

import sys

import pytest

from tests.fault.image_fuzz import fuzzed


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads peaks of memory in /proc")
def test_damaged_images_are_decoded_or_refused_in_little_time_and_memory(tmp_path):
    found = fuzzed(tmp_path, seed=10, inputs=1000)
    assert found["wrong"] == []
    # Otherwise nothing would be learned of what lies behind the container.
    assert {"jpeg", "png", "webp", "gif", "corrupt-image"} <= set(found["outcomes"]), found
    assert sum(found["outcomes"].values()) == 1000
