"""YAML as kubectl reads it, and where each field stands."""

from __future__ import annotations

from typing import Any

import pytest

from webhooks.documents import Document, NotYaml, read_documents


def only(text: str) -> Document:
    (document,) = read_documents(text)
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: y", {"a": True}),
        ("a: n", {"a": False}),
        ("a: Off", {"a": False}),
        ("n: 1", {"false": 1}),
        ("8080: 1", {"8080": 1}),
        ("a: 2026-05-04", {"a": "2026-05-04"}),
        ("a: 2026-05-04T03:02:01Z", {"a": "2026-05-04T03:02:01Z"}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: 0x10", {"a": 16}),
        ("a: 010", {"a": 8}),
        ("a: 1.5", {"a": 1.5}),
        ("a: 'n'", {"a": "n"}),
        ("a: ~", {"a": None}),
        ("{a: [1, {b: c}]}", {"a": [1, {"b": "c"}]}),
        ('{"a": "\\u00e9"}', {"a": "é"}),
        ("p: &p {a: 1, b: 2}\nq: {<<: *p, b: 3}", {"p": {"a": 1, "b": 2}, "q": {"a": 1, "b": 3}}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert only(text).value == value
    assert only(text).faults == []


@pytest.mark.parametrize("text", ["[" * 3000, "{a: " * 3000, "- " * 3000, "[" * 3000 + "]" * 3000])
def test_what_is_too_deep_is_no_crash(text: str) -> None:
    with pytest.raises(NotYaml, match="too deep"):
        list(read_documents(text))


def test_empty_documents_are_none() -> None:
    assert list(read_documents("---\n# nothing\n---\n---\n")) == []


def test_where_things_stand() -> None:
    document = only("spec:\n  list:\n  - a: 1\n  -   b: 2\n")
    places = {path: (at.line, at.column) for path, at in document.positions.items()}
    assert places["spec", "list", 1, "b"] == (4, 7)
    assert places["spec", "list", 0] == (3, 5)
    assert document.position(("spec", "missing", 3)).line == 1


def test_a_key_that_stands_twice_is_a_fault_and_a_merged_one_is_not() -> None:
    assert [str(fault) for fault in only("a: {b: 1, b: 2}").faults] == [
        'a.b: Invalid value: "b": the key stands here twice'
    ]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", 1),
        ("a: b: c", 1),
        ("a: 1\n\tb: 2", 2),
        ("a: *nobody", 1),
        ("a: &a [*a]", 1),
        ("a: !!python/object:os.system x", 1),
        ("? [a]\n: b", 1),
        ("a: 1\nb: .nan", 2),
        ("a: .inf", 1),
        ("a: !!binary eA==", 1),
        ("a: \x07", 1),
        ("[" * 300 + "]" * 300, 1),
        (BOMB, 1),
        ("a: " + "1" * 5000, 1),
    ],
    ids=range(14),
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(NotYaml) as caught:
        list(read_documents(text))
    assert caught.value.line == line
