"""Names of children and label values are legal, stable and apart, for any legal names of operations and nodes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos_operator.api.base import DNS_SUBDOMAIN
from kairos_operator.api.names import Claim, Role, child_name, digest, job_name, shortened
from kairos_operator.api.selectors import LABEL_VALUE

_LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
LEGAL = st.lists(_LABEL, min_size=1, max_size=8).map(".".join).filter(lambda name: len(name) <= 253)
LONG = "a" * 253
ROLES = st.sampled_from(Role)


@given(LEGAL, LEGAL, ROLES)
def test_a_childs_name_is_a_legal_object_name_and_label_value(operation: str, node: str, role: Role) -> None:
    name = child_name(operation, "uid", node, role)
    assert len(name) <= 63
    assert re.fullmatch(DNS_SUBDOMAIN, name)
    assert re.fullmatch(LABEL_VALUE, name)


@given(LEGAL)
def test_a_label_value_is_legal_and_the_name_itself_where_that_fits(name: str) -> None:
    value = shortened(name)
    assert len(value) <= 63
    assert re.fullmatch(LABEL_VALUE, value)
    assert value == name or len(name) > 63


@given(st.lists(st.tuples(LEGAL, LEGAL), min_size=2, max_size=2, unique=True), ROLES)
def test_two_pairs_of_names_give_two_children(pairs: list[tuple[str, str]], role: Role) -> None:
    first, second = (child_name(operation, f"uid of {operation}", node, role) for operation, node in pairs)
    assert first != second


@given(LEGAL, LEGAL, st.lists(ROLES, min_size=2, max_size=2, unique=True))
def test_two_roles_give_two_children(operation: str, node: str, roles: list[Role]) -> None:
    first, second = (child_name(operation, "uid", node, role) for role in roles)
    assert first != second


@pytest.mark.parametrize(
    ("operation", "node", "expected"),
    [
        pytest.param("op", "n1", r"op-n1-[a-z0-9]{5}", id="short names as they are"),
        pytest.param("op.v2", "n1.example.com", r"op\.v2-n1\.example\.com-[a-z0-9]{5}", id="dots stay"),
        pytest.param(
            "op", LONG, r"op-a+-[a-z0-9]{8}-[a-z0-9]{5}", id="a long node name leaves a short operation whole"
        ),
        pytest.param(
            LONG, "n1", r"a+-[a-z0-9]{8}-n1-[a-z0-9]{5}", id="a long operation leaves a short node whole"
        ),
        pytest.param("b" * 253, LONG, r"b+-[a-z0-9]{8}-a+-[a-z0-9]{8}-[a-z0-9]{5}", id="both are cut"),
    ],
)
def test_a_jobs_name_reads_operation_node_five_characters(operation: str, node: str, expected: str) -> None:
    assert re.fullmatch(expected, job_name(operation, "uid", node))


def test_names_fill_the_room_that_they_have() -> None:
    assert len(job_name(LONG, "uid", LONG)) == 63
    assert len(job_name("op", "uid", LONG)) == 63


def test_a_name_is_the_same_in_every_process() -> None:
    """Another name after an update of the operator would run every command again."""
    assert job_name("kairos-upgrade", "0b9e6c5e", "n1") == "kairos-upgrade-n1-ht5qm"
    assert child_name("op", "u", "n1", Role.REBOOT) == "op-n1-reboot-j8vq2"
    assert shortened("n" * 70) == "n" * 54 + "-" + digest("n" * 70, length=8)


def test_another_operation_of_the_same_name_has_other_children() -> None:
    assert job_name("op", "first", "n1") != job_name("op", "second", "n1")


def test_names_that_read_alike_are_told_apart() -> None:
    assert job_name("a-b", "u", "c") != job_name("a", "u", "b-c")
    assert digest("a", "bc", length=5) != digest("ab", "c", length=5)


def test_long_names_with_the_same_beginning_are_told_apart() -> None:
    assert shortened("n" * 100) != shortened("n" * 101)


def test_a_cut_never_leaves_a_separator_at_its_end() -> None:
    assert "..-" not in shortened("a" * 50 + "." * 4 + "b" * 60)
    assert re.fullmatch(LABEL_VALUE, shortened("a" * 53 + ".-_" + "b" * 60))


@pytest.mark.parametrize(
    "text",
    ["", "default/op", "op@uid", "@", "/@", "a/b/c@uid", "/op@uid", "default/@uid", "default/op@", "kured"],
)
def test_a_text_of_another_shape_is_no_claim(text: str) -> None:
    assert Claim.parse(text) is None


@given(LEGAL, LEGAL)
def test_a_claim_is_read_as_it_is_written(namespace: str, name: str) -> None:
    claim = Claim(namespace, name, "0b9e6c5e-2f3d")
    assert Claim.parse(str(claim)) == claim
    assert claim.operation == f"{namespace}/{name}"
