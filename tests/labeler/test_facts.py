"""What a node says of itself, and what is changed on its Node for that."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos_operator.labeler.facts import Facts, annotation_value, boot_state, facts, label_value, patch

RELEASE = {
    "ID": "kairos",
    "FAMILY": "opensuse",
    "FLAVOR": "leap",
    "FLAVOR_RELEASE": "15.6",
    "VARIANT": "standard",
    "RELEASE": "v3.4.2",
    "MODEL": "generic",
    "ARCH": "amd64",
    "TRUSTED_BOOT": "false",
    "FIPS": "false",
    "SOFTWARE_VERSION": "v1.30.11+k3s1",
    "SOFTWARE_VERSION_PREFIX": "k3s",
    "NAME": "kairos-standard-opensuse-leap",
    "ID_LIKE": "kairos-standard-opensuse-leap",
    "INIT_VERSION": "v0.3.0",
    "VERSION": "v3.4.2",
    "BUG_REPORT_URL": "https://github.com/kairos-io/kairos/issues",
    "HOME_URL": "https://github.com/kairos-io/kairos",
    "ARTIFACT": "not shown",
}


def test_the_whole_list() -> None:
    found = facts(RELEASE, "root=LABEL=COS_ACTIVE")
    assert found == Facts(
        labels={
            "kairos.io/managed": "true",
            "kairos.io/boot-state": "active",
            "kairos.io/id": "kairos",
            "kairos.io/family": "opensuse",
            "kairos.io/flavor": "leap",
            "kairos.io/flavor-release": "15.6",
            "kairos.io/variant": "standard",
            "kairos.io/release": "v3.4.2",
            "kairos.io/model": "generic",
            "kairos.io/arch": "amd64",
            "kairos.io/trusted-boot": "false",
            "kairos.io/fips": "false",
            "kairos.io/software-version": "v1.30.11-k3s1",
            "kairos.io/software-version-prefix": "k3s",
        },
        annotations={
            "kairos.io/name": "kairos-standard-opensuse-leap",
            "kairos.io/id-like": "kairos-standard-opensuse-leap",
            "kairos.io/init-version": "v0.3.0",
            "kairos.io/version": "v3.4.2",
            "kairos.io/bug-report-url": "https://github.com/kairos-io/kairos/issues",
            "kairos.io/home-url": "https://github.com/kairos-io/kairos",
        },
    )


def test_another_system_says_nothing() -> None:
    assert facts({}, "root=LABEL=COS_ACTIVE") is None


@pytest.mark.parametrize(
    ("cmdline", "state"),
    [
        ("BOOT_IMAGE=/boot/vmlinuz root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img", "active"),
        ("root=LABEL=COS_PASSIVE cos-img/filename=/cOS/passive.img", "passive"),
        ("root=LABEL=COS_SYSTEM cos-img/filename=/cOS/recovery.img", "recovery"),
        ("root=LABEL=COS_RECOVERY", "recovery"),
        ("vmlinuz recovery-mode", "recovery"),
        ("root=live:LABEL=COS_LIVE rd.live.dir=/", "livecd"),
        ("root=live:CDLABEL=COS_LIVE", "livecd"),
        ("ip=dhcp netboot", "livecd"),
        ("root=/dev/sda1 quiet", "unknown"),
        ("", "unknown"),
        ("rd.immucore.uki root=LABEL=COS_ACTIVE", "unknown"),
    ],
)
def test_boot_states(cmdline: str, state: str) -> None:
    assert boot_state(cmdline) == state


@given(st.text(max_size=200))
def test_any_text_becomes_a_legal_label_value(text: str) -> None:
    value = label_value(text)
    assert re.fullmatch(r"(?=.{0,63}$)([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?", value)
    assert label_value(value) == value


def test_annotations_are_one_bounded_line() -> None:
    assert annotation_value("a\nb\x1b[31m\u2028c") == "ab[31mc"
    assert len(annotation_value("x" * 5000)) == 1024


def node(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """A Node with those."""
    return {"metadata": {"resourceVersion": "7", "labels": labels, "annotations": annotations}}


def wanted() -> Facts:
    """What a small release file says."""
    found = facts({"ID": "kairos", "VERSION": "v2"}, "COS_ACTIVE")
    assert found is not None
    return found


def test_a_new_node_is_given_everything() -> None:
    assert patch(node(), wanted()) == {
        "metadata": {
            "resourceVersion": "7",
            "labels": dict(wanted().labels),
            "annotations": {"kairos.io/version": "v2"},
        }
    }


def test_a_node_that_says_it_already_is_not_written() -> None:
    assert patch(node(dict(wanted().labels), dict(wanted().annotations)), wanted()) is None


def test_what_the_release_no_longer_says_is_removed_and_what_is_not_ours_stays() -> None:
    labels = {**wanted().labels, "kairos.io/flavor": "leap", "kairos.io/rack": "7", "zone": "a"}
    annotations = {
        "kairos.io/version": "v1",
        "kairos.io/home-url": "x",
        "operator.kairos.io/cordoned-by": "y",
    }
    assert patch(node(labels, annotations), wanted()) == {
        "metadata": {
            "resourceVersion": "7",
            "labels": {"kairos.io/flavor": None},
            "annotations": {"kairos.io/version": "v2", "kairos.io/home-url": None},
        }
    }


def test_a_node_that_asks_to_be_left_alone_is() -> None:
    assert patch(node({"kairos.io/managed": "false", "kairos.io/flavor": "old"}), wanted()) is None
