"""A status fits into one object, whatever the number of nodes and however long what is said of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos_operator.api.cluster import ContainerView
from kairos_operator.api.names import Role, child_name
from kairos_operator.api.status import NodeOpStatus, NodeStatus, Outcome, Phase, RebootStatus, Step
from kairos_operator.core import folding
from kairos_operator.core.folding import (
    entry_bytes,
    fitted,
    is_folded,
    message_limit,
    most_in_flight,
    size_of,
)
from kairos_operator.core.nodeop import plan
from kairos_operator.core.phases import phase_of
from tests.core.rollout import Rollout
from tests.core.world import T0, UID, job, node, op, ours, pod, record, snapshot

ETCD_BYTES = 1_572_864
UID_TEXT = "0b9e6c5e-2f3d-4a53-9b0a-6e0c3f1d7a11"


def full(name: str, step: Step, outcome: Outcome | None = None, message: str = "") -> NodeStatus:
    """An entry with everything that one at this step can have."""
    done = step is Step.DONE
    uids = {} if done else dict.fromkeys(("node_uid", "boot_id", "job_uid", "rebooted_from"), UID_TEXT)
    return NodeStatus(
        phase=phase_of(step, outcome),
        job_name=child_name("kairos-upgrade-x7k2p", UID, name, Role.JOB),
        message=message or None,
        reboot_status=RebootStatus.NOT_REQUESTED,
        last_updated=T0,
        step=step,
        step_started_at=T0,
        started_at=T0,
        outcome=outcome,
        keep_cordon=True if outcome is Outcome.FAILED else None,
        **uids,
    )


def stored_bytes(records: dict[str, NodeStatus]) -> int:
    """What the entries take in etcd."""
    rendered = {name: record.render() for name, record in records.items()}
    return len(json.dumps(rendered, separators=(",", ":"), ensure_ascii=False).encode())


ENTRIES = st.builds(
    full,
    st.just("n1"),
    st.sampled_from(Step),
    st.one_of(st.none(), st.sampled_from(Outcome)),
    st.text(max_size=60),
)


@given(ENTRIES)
def test_the_estimate_is_never_too_small(record: NodeStatus) -> None:
    printable = "".join(letter for letter in record.message or "" if letter.isprintable())
    record = record.model_copy(update={"message": printable or None})
    assert entry_bytes("n1", record) >= stored_bytes({"n1": record}) - 2


@pytest.mark.parametrize("name_length", [12, 44, 63, 120])
@pytest.mark.parametrize("kind", ["completed", "failed", "mixed", "waiting", "flying"])
def test_five_thousand_nodes_fit_with_room_to_spare(name_length: int, kind: str) -> None:
    names = [f"{number:05}".rjust(name_length, "n") for number in range(5000)]
    text = "x" * message_limit(5000)
    by_name: dict[str, list[tuple[Step, Outcome | None]]] = {
        "completed": [(Step.DONE, Outcome.COMPLETED)],
        "failed": [(Step.DONE, Outcome.FAILED)],
        "mixed": [(Step.DONE, Outcome.COMPLETED), (Step.DONE, Outcome.FAILED), (Step.WAITING, None)],
        "waiting": [(Step.WAITING, None)],
        "flying": [(Step.DONE, Outcome.COMPLETED)],
    }
    kinds = by_name[kind]
    records = {name: full(name, *kinds[i % len(kinds)], text) for i, name in enumerate(names)}
    if kind == "flying":
        some = names[: most_in_flight(records)]
        records |= {name: full(name, Step.REBOOT, None, text) for name in some}
    found = fitted({}, records)
    assert found.keys() == records.keys()
    assert [one.phase for one in found.values()] == [one.phase for one in records.values()]
    assert [one.outcome for one in found.values()] == [one.outcome for one in records.values()]
    assert stored_bytes(found) < 0.95 * ETCD_BYTES


def test_nothing_is_folded_up_to_the_edge_and_only_what_is_over_beyond_it() -> None:
    def records(count: int) -> dict[str, NodeStatus]:
        return {
            name: full(name, Step.DONE, Outcome.COMPLETED)
            for name in (f"node-{number:05}" for number in range(count))
        }

    one = entry_bytes("node-00000", records(1)["node-00000"])
    most = folding.ROOM_BYTES // one
    at_the_edge, beyond = records(most), records(most + 1)
    assert fitted(at_the_edge, at_the_edge) == at_the_edge
    assert all(is_folded(record) for record in fitted(beyond, beyond).values())


def test_what_was_stored_in_full_is_folded_before_what_is_new() -> None:
    old = {f"old-{n:04}": full(f"old-{n:04}", Step.DONE, Outcome.COMPLETED, "m" * 200) for n in range(3000)}
    new = {"new": full("new", Step.DONE, Outcome.COMPLETED, "the command succeeded")}
    found = fitted(old, old | new)
    assert is_folded(found["old-0000"])
    assert found["new"] == new["new"]


def test_a_failed_node_keeps_its_message_and_its_cordon_even_when_folded() -> None:
    records = {f"n{n}": full(f"n{n}", Step.DONE, Outcome.FAILED, f"no space on n{n}") for n in range(5000)}
    found = fitted(records, records)["n7"]
    assert is_folded(found)
    assert (found.message, found.keep_cordon, found.outcome) == ("no space on n7", True, Outcome.FAILED)


def test_a_message_names_what_it_is_about_in_the_largest_operation_too() -> None:
    new, old = "v3.5.0-k3sv1.31.4+k3s1", "v3.4.2-k3sv1.30.11+k3s1"
    budget = "The disruption budget coredns-pdb needs 1 healthy pods and has 1 currently"
    for text, part in (
        (f"Postflight failed: node came back with {old}, the image is {new}", new),
        (
            f"Drain failed: not done after 5 min; kube-system/coredns-5d78c9869d-abcde cannot be evicted: {budget}",
            "coredns-pdb",
        ),
    ):
        assert part in text[: message_limit(5000)]


def test_messages_of_failed_nodes_are_cut_where_nothing_else_is_left() -> None:
    names = [f"{number:04}".rjust(63, "n") for number in range(5000)]
    records = {name: full(name, Step.DONE, Outcome.FAILED, "x" * message_limit(5000)) for name in names}
    found = fitted(records, records)
    assert size_of(found) <= folding.ROOM_BYTES
    assert {len(one.message or "") for one in found.values()} == {70}


def test_what_decides_about_a_node_in_flight_is_never_folded() -> None:
    records = {f"n{n}": full(f"n{n}", Step.REBOOT, None, "€" * 1000) for n in range(5000)}
    before = records["n1"]
    after = fitted(records, records)["n1"]
    assert len(after.message or "") < len(before.message or "")
    assert after == before.model_copy(update={"message": after.message})


def test_folding_is_stable_and_a_finished_operation_stays_finished() -> None:
    records = {f"n{n:04}": full(f"n{n:04}", Step.DONE, Outcome.COMPLETED, "done") for n in range(5000)}
    found = fitted(records, records)
    assert fitted(found, found) == found
    status = NodeOpStatus(phase=Phase.COMPLETED, node_statuses=found, started_at=T0)
    read = NodeOpStatus.model_validate(status.render())
    assert read == status
    last = op(concurrency=0, meta={"finalizers": ()})
    made = plan(snapshot(replace(last, status=read), *(node(name) for name in records)))
    assert made.empty


def test_a_status_whose_messages_are_cut_says_nothing_new_the_next_time() -> None:
    """Each look makes the whole message anew, and it must not be news once it is cut."""
    names = [f"n{number:03}" for number in range(400)]
    of = op(records={name: record(Step.JOB, name=name) for name in names}, cordon=True, concurrency=0)
    waits = (ContainerView("nodeop", waiting="CreateContainerError: " + "\u9519" * 1000),)
    pods = {name: (pod(f"p-{name}", node=name, containers=waits),) for name in names}
    for second in range(3):
        nodes = [ours(of, node(name)) for name in names]
        jobs = {name: job(of, name, attempts=1) for name in names}
        made = plan(snapshot(of, *nodes, seconds=second, jobs=jobs, job_pods=pods))
        assert (made.status is None) == (second > 0)
        of = replace(of, status=made.status or of.status)
    assert {len(one.message or "") for one in of.status.nodes.values()} == {40}


@pytest.mark.parametrize("room", [4_000, 9_000])
def test_a_rollout_that_must_fold_all_the_way_ends_as_one_that_need_not(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "SMALL", 3)
    monkeypatch.setattr("kairos_operator.core.status.SMALL", 3)
    monkeypatch.setattr(folding, "ROOM_BYTES", room)
    names = [f"n{number:02}" for number in range(30)]
    story = Rollout.of(op(concurrency=0, cordon=True, reboot_on_success=True), *map(node, names))
    sizes: list[int] = []
    flying: list[int] = []

    def look(made: object) -> None:
        assert story.op is not None
        records = story.op.status.nodes
        sizes.append(size_of(records))
        flying.append(sum(record.in_flight for record in records.values()))

    story.before_apply = look
    story.run()
    assert story.op is not None
    end = story.op.status
    assert end.phase is Phase.COMPLETED
    assert {record.outcome for record in end.nodes.values()} == {Outcome.COMPLETED}
    assert max(sizes) <= room * 1.5
    assert 1 <= max(flying) < len(names)
    assert any(one.type == "DetailsFolded" and one.status == "True" for one in end.conditions or ())


def test_messages_are_shorter_the_more_nodes_there_are_and_never_empty() -> None:
    limits = [message_limit(count) for count in (1, 390, 1000, 5000, 50_000)]
    assert limits[0] == limits[1] == 1024
    assert limits == sorted(limits, reverse=True)
    assert limits[-1] >= 80
