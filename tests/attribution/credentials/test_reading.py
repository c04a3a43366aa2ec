"""What a manifest says is read as it is signed, whatever is in it, and nobody is asked."""

import hashlib
import random
import sys

import pytest

from attribution.credentials.reading import read_credentials
from tests.support.answering import answering
from tests.support.credentials import pointing, signed
from tests.support.pictures import jpeg, picture

QUERY, HELD = jpeg(picture(1)), jpeg(picture(2))


@pytest.fixture(scope="module")
def image():
    said = {"title": "a\u202e\n.jpg", "instance_id": "xmp:iid:1", "picture": HELD}
    return signed(QUERY, said, embedded=HELD)


def test_a_picture_without_one_has_none():
    assert read_credentials(QUERY, "jpeg") is None
    assert read_credentials(QUERY + b"jumb c2pa", "jpeg") is None


def test_all_that_is_said_is_read_and_shown_as_text(image):
    said = read_credentials(image, "jpeg")
    assert (said.state, said.problems) == ("valid", ())
    assert said.generator == "Maker [31m 3.1"
    assert said.signer == "Makers Inc"
    assert said.digital_source_type == "trainedAlgorithmicMedia"
    named, whole = said.ingredients
    assert (named.title, named.relationship) == ("a .jpg", "inputTo")
    assert "xmp:iid:1" in named.identifiers
    assert whole.digests == (hashlib.sha256(HELD).hexdigest(),)


def test_a_picture_that_was_changed_after_it_was_signed(image):
    changed = bytearray(image)
    changed[-20] ^= 1
    said = read_credentials(bytes(changed), "jpeg")
    assert said.state == "invalid"
    assert "assertion.dataHash.mismatch" in said.problems


def test_a_hostile_manifest_costs_no_answer(image):
    dice = random.Random(0)
    start = image.index(b"jumb")
    states = set()
    for _ in range(150):
        hostile = bytearray(image)
        for _ in range(dice.randrange(1, 6)):
            hostile[start + dice.randrange(3_000)] = dice.randrange(256)
        said = read_credentials(bytes(hostile), "jpeg")
        states.add(said and said.state)
    assert {"invalid", "unreadable"} <= states


def test_a_manifest_elsewhere_is_not_fetched():
    with answering((200, {}, b"")) as (client, seen):
        image = pointing(QUERY, f"{client.base_url}/manifest.c2pa")
        assert str(client.base_url).encode() in image
        assert read_credentials(image, "jpeg") is None
        said = read_credentials(image + b"jumb c2pa", "jpeg")
    assert said is None or said.state == "unreadable"
    assert seen == []


def test_without_the_extra_it_is_said_that_there_is_one(image, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert read_credentials(image, "jpeg").state == "not-read"
    assert read_credentials(QUERY, "jpeg") is None
