"""The NodeOp that an upgrade makes: every flag, what is handed on, and its labels and owner."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from kairos_operator.core.scripts import postflight_command, preflight_command, upgrade_command
from kairos_operator.core.upgrade import node_op_body, node_op_spec
from tests.core.world import upgrade

NAME = "kairos-upgrade"


@pytest.mark.parametrize(
    ("active", "recovery", "force"),
    [
        pytest.param(*flags, id="active={} recovery={} force={}".format(*flags))
        for flags in product((True, False), repeat=3)
    ],
)
def test_what_each_combination_of_flags_means(active: bool, recovery: bool, force: bool) -> None:
    up = upgrade(upgrade_active=active, upgrade_recovery=recovery, force=force)
    spec = node_op_spec(up)
    assert spec.reboot_on_success is active
    assert (spec.postflight is not None) is active
    assert (spec.preflight is None) is force
    flags = spec.command[4:]
    assert ("--force" in flags) is force
    assert ("--recovery" in flags) is recovery
    assert ("--active" in flags) is (active or not recovery)
    if spec.preflight is not None:
        assert ("--recovery" in spec.preflight.command) is recovery


def test_what_does_not_depend_on_flags() -> None:
    spec = node_op_spec(upgrade())
    assert (spec.cordon, spec.host_mount_path, spec.image) == (True, "/host", "kairos:v2")
    drain = spec.drain_options
    assert drain is not None
    assert (drain.enabled, drain.delete_empty_dir_data, drain.force, drain.ignore_daemon_sets) == (
        True,
        True,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image_pull_secrets", [{"name": "registry"}]),
        ("node_selector", {"matchLabels": {"kairos.io/managed": "true"}}),
        ("concurrency", 3),
        ("stop_on_failure", True),
        ("uncordon_on_failure", True),
        ("job_timeout_seconds", 77),
        ("reboot_timeout_seconds", 88),
    ],
)
def test_what_is_handed_on_as_it_is(field: str, value: Any) -> None:
    up = upgrade(**{field: value})
    assert getattr(node_op_spec(up), field) == getattr(up.spec, field)
    assert getattr(up.spec, field) != getattr(upgrade().spec, field)


def test_the_commands_are_the_scripts_with_parameters_as_arguments() -> None:
    up = upgrade(debug=True, exclude_paths=["/opt/a b", "/it's", "/$(reboot)"])
    spec = node_op_spec(up)
    assert spec.command == upgrade_command(up.spec)
    assert spec.command[5:] == [
        "--debug",
        "--exclude-path",
        "/opt/a b",
        "--exclude-path",
        "/it's",
        "--exclude-path",
        "/$$(reboot)",
    ]
    assert spec.preflight is not None
    assert spec.preflight.command == preflight_command(up.spec)
    assert spec.postflight is not None
    assert spec.postflight.command == postflight_command()


def test_the_checks_run_in_the_upgrades_image_and_may_wait_for_its_pull() -> None:
    """An image of gigabytes takes longer than the two minutes that a check is given by default."""
    spec = node_op_spec(upgrade())
    assert spec.preflight is not None
    assert spec.postflight is not None
    assert {spec.preflight.image, spec.postflight.image} == {None}
    assert spec.preflight.active_deadline_seconds == spec.postflight.active_deadline_seconds == 1800


def test_the_node_op_has_the_upgrades_name_labels_and_ownership() -> None:
    metadata = node_op_body(upgrade())["metadata"]
    assert (metadata["name"], metadata["namespace"]) == (NAME, "default")
    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "nodeopupgrade-controller",
        "nodeopupgrade.kairos.io/name": NAME,
    }
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == (
        "NodeOpUpgrade",
        NAME,
        "uid-of-upgrade",
        True,
    )


def test_a_name_too_long_for_a_label_gets_a_short_form_there() -> None:
    metadata = node_op_body(upgrade("u" * 200))["metadata"]
    assert len(metadata["name"]) == 200
    assert len(metadata["labels"]["nodeopupgrade.kairos.io/name"]) <= 63
