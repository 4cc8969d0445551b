"""What the store believes, whatever order news comes in."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from kairos_operator.runtime.store import Store


@dataclass(frozen=True)
class Thing:
    name: str
    owner: str
    text: str


def parse(obj: Mapping[str, Any]) -> Thing:
    return Thing(obj["metadata"]["name"], obj["spec"]["owner"], obj["spec"].get("text", ""))


def thing(name: str, version: int, owner: str = "o", text: str = "", uid: str = "") -> dict[str, Any]:
    meta = {"namespace": "ns", "name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"kind": "Thing", "metadata": meta, "spec": {"owner": owner, "text": text}}


def owners(value: Thing) -> Iterable[str]:
    return [value.owner] if value.owner else []


class Watched:
    def __init__(self) -> None:
        self.store: Store[Thing] = Store(parse)
        self.store.index("owner", owners)
        self.news: list[tuple[str, str]] = []
        self.store.subscribe(
            lambda old, new: self.news.append((old.text if old else "-", new.text if new else "-"))
        )

    def text(self, name: str = "a") -> str | None:
        value = self.store.get(name, "ns")
        return value.text if value else None


def test_an_older_version_never_replaces_a_newer_one() -> None:
    w = Watched()
    w.store.observed(thing("a", 9, text="old"))
    w.store.observed(thing("a", 10, text="ours"))  # "10" < "9" as strings
    w.store.observed(thing("a", 9, text="late"))
    assert w.text() == "ours"
    assert w.news == [("-", "old"), ("old", "ours")]


def test_an_unchanged_value_is_no_news_but_its_version_counts() -> None:
    w = Watched()
    w.store.observed(thing("a", 5, text="x"))
    w.store.observed(thing("a", 8, text="x"))
    w.store.observed(thing("a", 7, text="late"))
    assert w.news == [("-", "x")]
    assert w.text() == "x"


def test_the_same_value_under_a_new_uid_is_news() -> None:
    w = Watched()
    w.store.observed(thing("a", 5, text="x"))
    w.store.observed(thing("a", 9, text="x", uid="another"))
    assert w.news == [("-", "x"), ("x", "x")]


def test_a_late_event_cannot_bring_back_what_was_deleted() -> None:
    w = Watched()
    w.store.observed(thing("a", 5))
    w.store.deleted(thing("a", 8))
    w.store.observed(thing("a", 7))
    assert w.text() is None
    w.store.observed(thing("a", 9, text="new one", uid="another"))
    assert w.text() == "new one"


def test_a_late_deletion_does_not_take_a_newer_object_with_it() -> None:
    w = Watched()
    w.store.observed(thing("a", 9, text="new one", uid="another"))
    w.store.deleted(thing("a", 8))
    assert w.text() == "new one"


def test_forgetting_takes_only_the_object_that_we_deleted() -> None:
    w = Watched()
    w.store.observed(thing("a", 5))
    w.store.forget("a", "ns", uid="another")
    assert w.text() == ""
    w.store.forget("a", "ns", uid="uid-a")
    w.store.observed(thing("a", 5))
    assert w.text() is None


def test_a_live_read_that_found_nothing_drops_the_object_but_not_for_ever() -> None:
    w = Watched()
    w.store.missing("a", "ns")
    w.store.observed(thing("a", 5, text="created while the read was under way"))
    w.store.missing("a", "ns")
    assert w.text() is None
    w.store.observed(thing("a", 4))
    assert w.text() is None
    w.store.observed(thing("a", 5, text="there after all"))
    assert w.text() == "there after all"


def test_a_new_list_announces_what_vanished_and_keeps_what_we_wrote_meanwhile() -> None:
    w = Watched()
    w.store.replace([thing("a", 5, text="a"), thing("b", 6, text="b")], "10")
    w.store.observed(thing("c", 21, text="ours"))
    w.store.replace([thing("a", 15, text="a2")], "20")
    assert [value.name for value in w.store.values()] == ["a", "c"]
    assert w.news[3:] == [("a", "a2"), ("b", "-")]
    assert w.store.resource_version == "20"


def test_a_list_beside_the_watch_drops_what_is_gone_and_never_takes_history_back() -> None:
    """What a new leader reads: its watch may be behind, or ahead of the list by the time that it arrives."""
    seen = Watched()
    for one in (thing("a", 3), thing("b", 4), thing("new", 9)):
        seen.store.observed(one)
    seen.store.advance("9")
    seen.store.catch_up([thing("a", 6, text="later")], "7")
    assert [value.name for value in seen.store.values()] == ["a", "new"]
    assert (seen.text("a"), seen.store.resource_version) == ("later", "9")


def test_a_list_from_before_the_watch_means_that_history_went_back() -> None:
    w = Watched()
    w.store.replace([thing("a", 500, text="lost"), thing("b", 6)], "900")
    w.store.deleted(thing("b", 950))
    w.store.advance("950")
    w.store.replace([thing("a", 300, text="restored"), thing("b", 6)], "400")
    assert w.text() == "restored"
    assert w.text("b") == ""
    assert w.store.resource_version == "400"


def test_the_index_follows_every_change() -> None:
    w = Watched()
    w.store.observed(thing("b", 1, owner="x"))
    w.store.observed(thing("a", 2, owner="x"))
    assert [value.name for value in w.store.lookup("owner", "x")] == ["a", "b"]
    w.store.observed(thing("a", 3, owner="y"))
    w.store.deleted(thing("b", 4))
    assert w.store.lookup("owner", "x") == []
    assert [value.name for value in w.store.lookup("owner", "y")] == ["a"]
    w.store.index("text", lambda value: [value.text])
    assert [value.name for value in w.store.lookup("text", "")] == ["a"]


def test_an_unreadable_object_is_named_and_its_last_readable_state_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    w = Watched()
    w.store.observed(thing("a", 1, text="fine"))
    broken = thing("a", 2)
    del broken["spec"]["owner"]
    with caplog.at_level(logging.ERROR):
        w.store.observed(broken)
    assert w.text() == "fine"
    assert caplog.records[0].__dict__["object"] == "ns/a"


@pytest.mark.parametrize("seed", range(30))
def test_whatever_the_order_the_newest_version_wins(seed: int) -> None:
    rng = random.Random(seed)
    history: list[tuple[str, dict[str, Any]]] = []
    alive: dict[str, str] = {}
    for version in range(1, 60):
        name = rng.choice("abc")
        if name in alive and rng.random() < 0.3:
            history.append(("deleted", thing(name, version)))
            del alive[name]
        else:
            alive[name] = str(version)
            history.append(("observed", thing(name, version, owner=str(version % 3), text=str(version))))
    news = history * 2  # everything may be told twice, and in any order
    rng.shuffle(news)
    w = Watched()
    for how, obj in news:
        getattr(w.store, how)(obj)
    assert {value.name: value.text for value in w.store.values()} == alive
    for owner in "012":
        found = {value.name for value in w.store.lookup("owner", owner)}
        assert found == {name for name, text in alive.items() if str(int(text) % 3) == owner}
