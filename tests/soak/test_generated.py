"""Inputs and sequences that nobody has thought of, by the thousand, of another seed each time."""

from tests.fault import test_catalog_and_index, test_image_fuzz, test_stateful_api


def test_damaged_images(tmp_path, seed, option, report):
    found = test_image_fuzz.fuzzed(tmp_path, seed=seed, inputs=option("--images"))
    report(found)
    assert found["wrong"] == []


def test_sequences_of_calls(start, option, report):
    service = start(settings=test_stateful_api.QUIET)
    service.wait_until_ready()
    examples = option("--examples")
    called = test_stateful_api.check(service, examples=examples, steps=20)
    report(f"{examples} sequences of up to 20 calls; seen: {', '.join(sorted(called))}")


def test_catalog_and_index_agree_with_a_dict(option, report):
    examples = option("--examples")
    test_catalog_and_index.check(examples=examples, steps=60)
    report(f"{examples} sequences of up to 60 operations")
