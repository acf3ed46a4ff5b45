"""YAML is read strictly, and every value keeps its line."""

import json
import time

import pytest

from sim.scenario.document import MAX_ANCHORS, MAX_BYTES, MAX_DEPTH, DocumentError, decode, read


def refused(text):
    with pytest.raises(DocumentError) as caught:
        read(text)
    return caught.value.line, str(caught.value)


def test_values_and_their_lines():
    document = read(
        "about: >-\n  two\n  lines\nworkers:\n  lanes: [a,\n    b]\n  count: 3\nfaults:\n- x\n- y: 1\n"
    )
    assert document.value == {
        "about": "two lines",
        "workers": {"lanes": ["a", "b"], "count": 3},
        "faults": ["x", {"y": 1}],
    }
    assert document.lines == {
        (): 1,
        ("about",): 1,
        ("workers",): 4,
        ("workers", "lanes"): 5,
        ("workers", "lanes", 0): 5,
        ("workers", "lanes", 1): 6,
        ("workers", "count"): 7,
        ("faults",): 8,
        ("faults", 0): 9,
        ("faults", 1): 10,
        ("faults", 1, "y"): 10,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("1e3", 1000.0),
        ("0.5", 0.5),
        (".5", 0.5),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("'3'", "3"),
        ('"true"', "true"),
        ("50/s", "50/s"),
    ],
)
def test_plain_scalars_are_read_as_they_look(text, value):
    found = read(f"key: {text}").value["key"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_read():
    found = read("key: .nan").value["key"]
    assert found != found


def test_keys_are_text():
    assert read("1: a\nnull: b\ntrue: c\n").value == {"1": "a", "null": "b", "true": "c"}


def test_json_is_read():
    value = {"a": [1, 2.5, None, True], "b": {"c": 'é " \\ \n'}}
    assert read(json.dumps(value)).value == value


def test_an_alias_repeats_a_value_and_its_lines():
    document = read("a: &x\n  b: [1]\nc: *x\n")
    assert document.value == {"a": {"b": [1]}, "c": {"b": [1]}}
    assert document.lines["c",] == 3
    assert document.lines["c", "b", 0] == 2


def test_an_empty_document_is_nothing():
    assert read("# nothing\n").value is None
    assert read("").lines == {(): 1}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands twice (first in line 1)"),
        ("a:\n  b: 1\n  b: 2\n", 3, "the key 'b' stands twice (first in line 2)"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here; a scenario is one document"),
        ("a: !!python/object:os.x y", 1, "tags such as 'tag:yaml.org,2002:python/object:os.x' are not read"),
        ("!!str a: 1", 1, "tags such as 'tag:yaml.org,2002:str' are not read"),
        ("a: 1\nb: *c\n", 2, "*c names nothing that was anchored before"),
        ("a: &x [*x]", 1, "*x names nothing that was anchored before"),
        ("a: &x {}\n<<: *x\n", 2, "merge keys (<<) are not read; write the keys out, or use an alias"),
        ("[a]: 1", 1, "a key must be plain text"),
        ("&x a: 1", 1, "a key must be plain text"),
        ("a: 1\nb: \x07\n", 2, "not YAML: the character 0x0007 is not allowed"),
        ("a: 1\nb: [\n", 3, "not YAML: while parsing a flow node, did not find expected node content"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_with_its_line(text, line, message):
    assert refused(text) == (line, message)


def test_depth_is_limited():
    nested = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert read(nested).lines
    assert refused(f"[{nested}]") == (1, "nested more than 50 deep")
    assert refused("[" * 500_000) == (1, "nested more than 50 deep")


def test_size_is_limited():
    assert refused("#" * (MAX_BYTES + 1))[1].startswith("larger than 4,194,304 bytes")


def test_anchors_are_limited():
    many = "".join(f"- &a{i} x\n" for i in range(MAX_ANCHORS + 1))
    assert refused(many) == (MAX_ANCHORS + 1, "more than 100 anchors")


def test_a_bomb_of_aliases_is_refused_before_it_goes_off():
    """Nine levels of nine aliases each would be 387 million values."""
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    for i in range(1, 9):
        bomb += f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n"
    started = time.perf_counter()
    line, message = refused(bomb)
    assert line == 6
    assert message.startswith("more than 200000 values")
    assert time.perf_counter() - started < 5


def test_bytes_that_are_no_text_are_refused_with_their_line():
    with pytest.raises(DocumentError, match=r"^not UTF-8 text \(byte 0xff\)$") as caught:
        decode(b"a: 1\nb: \xff\n")
    assert caught.value.line == 2


def test_a_byte_order_mark_is_no_text():
    assert decode(b"\xef\xbb\xbfa: 1") == "a: 1"
