"""Keeping an operation on thousands of nodes small enough for one object: etcd refuses more than 1.5 MiB.

In this order, each only where it is needed:
1. messages of nodes get shorter the more nodes there are; Events carry them in full;
2. only so many nodes are in flight at once as there is room for, since their entries are the longest;
3. beyond `ROOM_BYTES`, entries of nodes that completed or were skipped are folded to phase, step and outcome, and those
   of waiting nodes to phase and step; then failed ones to these, their message and their cordon; then messages of
   nodes in flight are cut short, and at the very last those of failed ones.
Every target stays in the map, with its phase and outcome. What is folded is never needed again: nothing leads out of
`Done`, and what decides about a cordon stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from kairos_operator.api.status import NodeStatus, Outcome, Step

ROOM_BYTES = 1_250_000  # for the entries; the rest of etcd's 1,572,864 is the spec's, with its scripts
SMALL = 390  # an operation on so few nodes fits whatever happens
MESSAGE_LIMIT = 1024  # characters
_SHORTEST_MESSAGE = 160  # what went wrong and with what: two versions, or a pod and the budget that holds it
_CUT_MESSAGE = 40
_CUT_FAILURE = 70
_ALL_MESSAGES = MESSAGE_LIMIT * SMALL
# Bytes of the fields of one entry in JSON, as keys and values of their longest; texts are counted as they are.
_FRAME, _FLAG, _TIME = 52, 22, 42  # the frame has phase and step
_FLYING_BYTES = 640 + _SHORTEST_MESSAGE  # an entry in flight, all fields set, but for its name
_FOLDED_BYTES = 64  # a folded entry, but for its name
_ESCAPED = '<>&"\\\n\t'


def message_limit(nodes: int) -> int:
    """How many characters a node's message may have in an operation on so many nodes."""
    return max(_SHORTEST_MESSAGE, min(MESSAGE_LIMIT, _ALL_MESSAGES // max(nodes, 1)))


def most_in_flight(records: Mapping[str, NodeStatus]) -> int:
    """How many nodes may be in flight at once, so that the status still fits; never less than one."""
    if len(records) <= SMALL:
        return len(records)
    folded = sum(map(len, records)) + _FOLDED_BYTES * len(records)
    folded += sum(_text(record.message) for record in records.values() if record.outcome is Outcome.FAILED)
    return max(1, (ROOM_BYTES - folded) // _FLYING_BYTES)


def fitted(stored: Mapping[str, NodeStatus], records: Mapping[str, NodeStatus]) -> dict[str, NodeStatus]:
    """`records`, folded as far as they must be to fit; what was stored in full before is folded first."""
    found = dict(records)
    if len(found) <= SMALL:
        return found
    size = size_of(found)
    for due, fold in (
        (_ended_before(stored), _folded),
        (_ended, _folded),
        (_failed, _folded),
        (_flying, _cut),
        (_failed, _cut),
    ):
        if size <= ROOM_BYTES:
            break
        for name in [name for name, record in found.items() if due(name, record)]:
            folded = fold(found[name])
            known = stored.get(name) if fold is _cut else None
            if known is not None and folded.model_copy(update={"last_updated": known.last_updated}) == known:
                folded = known  # it says nothing new, once its message is cut
            if folded != found[name]:
                size -= entry_bytes(name, found[name]) - entry_bytes(name, folded)
                found[name] = folded
    return found


def is_folded(record: NodeStatus) -> bool:
    """Whether the entry of a node that is done has lost its details."""
    return record.step is Step.DONE and record.last_updated is None


def size_of(records: Mapping[str, NodeStatus]) -> int:
    """About how many bytes the entries take in JSON, rather too many than too few."""
    return sum(entry_bytes(name, record) for name, record in records.items())


def entry_bytes(name: str, record: NodeStatus) -> int:
    """About how many bytes one entry takes. Written out, since it is asked thousands of times for each look."""
    size = _FRAME + len(name) + _text(record.message)
    if record.job_name:
        size += 14 + len(record.job_name)
    if record.outcome:
        size += _FLAG
    if record.keep_cordon is not None:
        size += _FLAG
    if record.reboot_status:
        size += 32
    size += _TIME * ((record.last_updated is not None) + (record.started_at is not None))
    size += _TIME * (record.step_started_at is not None)
    if record.node_uid or record.boot_id or record.job_uid or record.rebooted_from:
        uids = (record.node_uid, record.boot_id, record.rebooted_from, record.job_uid)
        size += sum(14 + len(uid) for uid in uids if uid is not None)
    return size


@lru_cache(maxsize=4096)  # most nodes say the same
def _text(text: str | None) -> int:
    if not text:
        return 0
    return 14 + len(text.encode()) + 5 * sum(map(text.count, _ESCAPED))


def _ended_before(stored: Mapping[str, NodeStatus]) -> Callable[[str, NodeStatus], bool]:
    return lambda name, record: _ended(name, record) and record is stored.get(name)


def _ended(_: str, record: NodeStatus) -> bool:
    return record.step is Step.WAITING or record.outcome in (Outcome.COMPLETED, Outcome.SKIPPED)


def _failed(_: str, record: NodeStatus) -> bool:
    return record.outcome is Outcome.FAILED


def _flying(_: str, record: NodeStatus) -> bool:
    return record.in_flight and bool(record.message)


def _cut(record: NodeStatus) -> NodeStatus:
    """The entry with the beginning of its message; what is remembered of a node in flight stays."""
    limit = _CUT_MESSAGE if record.in_flight else _CUT_FAILURE
    return record.model_copy(update={"message": (record.message or "")[:limit]})


def _folded(record: NodeStatus) -> NodeStatus:
    """The entry of a node that is done, or waits, without its details."""
    bad = record.outcome is Outcome.FAILED
    return NodeStatus(
        phase=record.phase,
        step=record.step,
        outcome=record.outcome,
        message=record.message if bad else None,
        keep_cordon=record.keep_cordon,
    )
