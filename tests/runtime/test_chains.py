"""The chains of an operation that are under way: what looks leave out meanwhile, and what follows."""

from __future__ import annotations

from kairos_operator.api.resources import PODS
from kairos_operator.core.actions import Action, Create, Delete, EvictPod
from kairos_operator.runtime.chains import PATIENCE_SECONDS, Chains


async def _nothing() -> float | None:
    return None


def _create(name: str, node: str) -> Create:
    return Create(PODS, name, dict, node)


def test_a_node_is_left_out_until_all_its_chains_are_through_and_then_looked_at() -> None:
    chains, first, second = Chains(), (_create("a", "n1"),), (EvictPod("n1", "default", "b", "u", None),)
    assert chains.add(first, _nothing, 0.0)
    assert chains.add(second, _nothing, 0.0)
    assert chains.look() == {"n1"}
    assert not chains.done(first)
    assert chains.done(second)
    assert chains.look() == frozenset()


def test_where_no_look_has_left_a_node_out_none_has_to_follow() -> None:
    chains, chain = Chains(), (_create("a", "n1"),)
    chains.add(chain, _nothing, 0.0)
    assert not chains.done(chain)


def test_what_is_under_way_is_not_begun_twice() -> None:
    chains, chain = Chains(), (_create("a", "n1"), _create("b", "n1"))
    assert chains.add(chain, _nothing, 0.0)
    assert not chains.add((_create("b", "n1"),), _nothing, 0.0)
    chains.done(chain)
    assert not chains.add((_create("b", "n1"),), _nothing, 0.0), "it was under way when the plan was made"
    chains.look()
    assert chains.add((_create("b", "n1"),), _nothing, 0.0)


def test_a_delete_holds_up_nothing_but_itself() -> None:
    chains, chain = Chains(), (Delete(PODS, "a", "u", "n1"),)
    assert chains.add(chain, _nothing, 0.0)
    assert chains.look() == frozenset()
    assert not chains.add(chain, _nothing, 0.0)


def test_what_has_not_begun_can_be_dropped() -> None:
    chains = Chains()
    both: list[tuple[Action, ...]] = [(_create(name, name),) for name in ("n1", "n2")]
    for chain in both:
        chains.add(chain, _nothing, 0.0)
    turn = chains.next(1.0)
    chains.drop()
    assert turn is not None
    assert turn[0] is both[0]
    assert chains.look() == {"n1"}
    assert chains.next(1.0) is None


def test_what_has_waited_for_long_is_not_begun() -> None:
    chains, chain = Chains(), (_create("a", "n1"),)
    chains.add(chain, _nothing, 100.0)
    assert chains.next(100.0 + PATIENCE_SECONDS + 1) == (chain, None)
