"""Entity tags against the examples of RFC 9110, and against whatever else a client may send."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.requests.conditional import EntityTag, if_match, if_none_match, tags_of

XYZZY = EntityTag("xyzzy")


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        # Section 8.8.3
        ('"xyzzy"', [("xyzzy", False)]),
        ('W/"xyzzy"', [("xyzzy", True)]),
        ('""', [("", False)]),
        # Sections 13.1.1 and 13.1.2
        ('"xyzzy", "r2d2xxxx", "c3piozzzz"',
         [("xyzzy", False), ("r2d2xxxx", False), ("c3piozzzz", False)]),
        ('W/"xyzzy", W/"r2d2xxxx", W/"c3piozzzz"',
         [("xyzzy", True), ("r2d2xxxx", True), ("c3piozzzz", True)]),
        # Section 5.6.1.2: empty elements count for nothing
        (' ,"a" ,, \t"b",', [("a", False), ("b", False)]),
        # A comma, a backslash and a byte beyond ASCII may be part of a tag
        ('"a,b", "c\\", "\xe9"', [("a,b", False), ("c\\", False), ("\xe9", False)]),
        # None of these is a list of tags
        *[(header, []) for header in ("", ",", "xyzzy", '"xyzzy', "*", 'w/"xyzzy"', 'W/ "xyzzy"',
                                      '"a" "b"', '"a", b', '"a b"', '"a"b', '*, "a"')],
    ],
)  # fmt: skip
def test_tags_are_read(header, tags):
    assert tags_of(header) == tuple(EntityTag(*tag) for tag in tags)


@pytest.mark.parametrize(
    ("one", "other", "strong", "weak"),
    [
        # Section 8.8.3.2
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
    ],
)
def test_tags_compare_strongly_and_weakly(one, other, strong, weak):
    for header, tag in ((one, other), (other, one)):
        [current] = tags_of(tag)
        assert if_match(header, current) is strong
        assert if_none_match(header, current) is not weak


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ('"xyzzy"', True),
        ('"xyzzy", "r2d2xxxx", "c3piozzzz"', True),
        ("*", True),
        (" * ", True),
        ('"r2d2xxxx", "xyzzy"', True),
        ('"r2d2xxxx"', False),
        ('"xyzzy2"', False),
        ('"2xyzzy"', False),
        ('"XYZZY"', False),
        ("xyzzy", False),
        ('"r2d2xxxx, "xyzzy"', False),
        ("", False),
    ],
)
def test_a_whole_tag_matches_and_no_part_of_one(header, matches):
    assert if_match(header, XYZZY) is matches
    assert if_none_match(header, XYZZY) is not matches


opaque = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f'))
tags = st.builds(EntityTag, opaque, st.booleans())


@given(st.lists(tags, min_size=1), st.sampled_from([",", ", ", " ,", ",,", "\t, ,"]))
def test_what_is_written_as_a_list_is_read_as_it_was(written, separator):
    assert tags_of(separator.join(map(str, written))) == tuple(written)


@given(st.text(st.characters(max_codepoint=0xFF)) | st.text('W/"a,* \t'), tags)
@example('"' * 1024, XYZZY)
@example(",\t" * 512, XYZZY)
def test_garbage_matches_nothing_and_breaks_nothing(header, current):
    read = tags_of(header)
    assert all(str(tag) in header for tag in read)
    anything = header.strip(" \t") == "*"
    assert if_match(header, current) is (anything or (current in read and not current.weak))
    equal = any(tag.opaque == current.opaque for tag in read)
    assert if_none_match(header, current) is not (anything or equal)
