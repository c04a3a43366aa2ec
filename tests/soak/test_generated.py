"""Inputs and sequences that nobody has thought of, by the thousand, of another seed each time."""

from tests.fault import call_sequences, catalog_machine
from tests.fault.image_fuzz import fuzzed


def test_damaged_images(tmp_path, seed, option, report):
    found = fuzzed(tmp_path, seed=seed, inputs=option("--images"))
    report(found)
    assert found["wrong"] == []


def test_sequences_of_calls(start, option, report):
    service = start(settings=call_sequences.QUIET)
    service.wait_until_ready()
    examples = option("--examples")
    called = call_sequences.check(service, examples=examples, steps=20)
    report(f"{examples} sequences of up to 20 calls; seen: {', '.join(sorted(called))}")


def test_catalog_and_index_agree_with_a_dict(option, report):
    examples = option("--examples")
    catalog_machine.check(examples=examples, steps=60)
    report(f"{examples} sequences of up to 60 operations")
