"""What flags make of an operation, and what a wrong command line is told."""

from __future__ import annotations

import json

import pytest
import yaml

from kairos_operator.api.nodeop import NodeOpSpec
from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec
from kairos_operator.api.resources import NODE_OP_UPGRADES
from kairos_operator.cli.exits import Exit
from tests.cli.site import TARGET, Site


async def test_an_upgrade_has_what_was_asked_for_and_nothing_else(cluster: Site) -> None:
    cluster.node("w-1")
    result = await cluster.call(
        "upgrade", TARGET, "-l", "pool=edge", "--node", "w-1", "-c", "1", "--job-timeout", "1h", "-o", "name"
    )
    assert result.exit_code == 0
    name = result.stdout.strip().removeprefix("nodeopupgrade.operator.kairos.io/")
    assert name.startswith("upgrade-")
    spec = cluster.store.get(NODE_OP_UPGRADES, name, "default")["spec"]
    assert (spec["image"], spec["concurrency"], spec["jobTimeoutSeconds"]) == (TARGET, 1, 3600)
    assert spec["nodeSelector"] == {
        "matchLabels": {"pool": "edge"},
        "matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["w-1"]}],
    }


UPGRADE_FLAGS = (
    "-l a=b -c 2 --stop-on-failure --image-pull-secret s --no-active --recovery --force --debug --exclude-path /x"
    " --uncordon-on-failure --job-timeout 5m --reboot-timeout 5m"
)
RUN_FLAGS = (
    "--image busybox:1.36 -l a=b -c 2 --stop-on-failure --image-pull-secret s --host-mount-path /h --reboot"
    " --backoff-limit 1 --uncordon-on-failure --job-timeout 5m --reboot-timeout 5m --drain --drain-force"
    " --grace-period 9 --no-ignore-daemonsets --delete-emptydir-data --drain-timeout 9m --preflight p"
    " --preflight-image i:1 --preflight-timeout 1m --postflight q --postflight-image j:1 --postflight-timeout 2m"
)


async def test_each_field_of_an_upgrade_has_its_flag(cluster: Site) -> None:
    result = await cluster.call(
        "upgrade", TARGET, *UPGRADE_FLAGS.split(), "--dry-run", "client", "-o", "json"
    )
    spec = json.loads(result.stdout)["spec"]
    assert set(spec) == {field.alias for field in NodeOpUpgradeSpec.model_fields.values()}
    model = NodeOpUpgradeSpec.model_validate(spec)
    plain = NodeOpUpgradeSpec(image=TARGET)
    assert all(
        getattr(model, name) != getattr(plain, name)
        for name in NodeOpUpgradeSpec.model_fields
        if name != "image"
    )


async def test_each_field_of_a_node_op_has_its_flag(cluster: Site) -> None:
    result = await cluster.call(
        "run", *RUN_FLAGS.split(), "--dry-run", "client", "-o", "yaml", "--", "ls", "-l"
    )
    assert result.exit_code == 0, result.output
    spec = yaml.safe_load(result.stdout)["spec"]
    assert set(spec) == {field.alias for field in NodeOpSpec.model_fields.values()}
    model, plain = NodeOpSpec.model_validate(spec), NodeOpSpec(command=["x"])
    assert all(getattr(model, name) != getattr(plain, name) for name in NodeOpSpec.model_fields)
    assert model.drain_options is not None
    assert plain.drain_options is not None
    assert all(
        getattr(model.drain_options, name) != getattr(plain.drain_options, name)
        for name in type(plain.drain_options).model_fields
    )
    assert model.command == ["ls", "-l"]
    assert model.preflight is not None
    assert model.preflight.command == ["sh", "-c", "p"]


@pytest.mark.parametrize("dry_run", ["client", "server"])
async def test_a_dry_run_makes_nothing(cluster: Site, dry_run: str) -> None:
    result = await cluster.call("upgrade", TARGET, "--name", "u", "--dry-run", dry_run)
    assert result.exit_code == 0
    assert "dry run" in result.stdout
    assert cluster.names() == set()


async def test_a_client_dry_run_needs_no_cluster(cluster: Site) -> None:
    await cluster.server.stop()
    result = await cluster.call("run", "--dry-run", "client", "-o", "name", "--", "df")
    assert (result.exit_code, result.stdout) == (0, "nodeop.operator.kairos.io/run-\n")


BAD: list[tuple[list[str], Exit, str]] = [
    (["upgrade", "not an image"], Exit.USAGE, "spec.image"),
    (["upgrade", TARGET, "-l", "a=b=c"], Exit.USAGE, "label selector"),
    (["upgrade", TARGET, "-l", "", "--dry-run", "client"], Exit.USAGE, "leave it out for all"),
    (["upgrade", TARGET, "-l", " "], Exit.USAGE, "leave it out for all"),
    (["upgrade", TARGET, "--node", "", "--dry-run", "client"], Exit.USAGE, "--node has no name"),
    (["upgrade", TARGET, "--job-timeout", "soon"], Exit.USAGE, "30d"),
    (["upgrade", TARGET, "-o", "wide"], Exit.USAGE, "json, yaml, name"),
    (["upgrade", TARGET, "--watch", "-o", "name"], Exit.USAGE, "--watch"),
    (["upgrade", TARGET, "--node", "nobody"], Exit.REFUSED, "no node nobody"),
    (["upgrade", TARGET, "-n", "nowhere"], Exit.REFUSED, "nowhere"),
    (["upgrade"], Exit.USAGE, ""),
    (["run", "--host-mount-path", "relative", "--", "df"], Exit.USAGE, "hostMountPath"),
    (["run", "--drain", "--no-cordon", "--", "df"], Exit.USAGE, "cordon: true"),
    (["status", "nobody"], Exit.REFUSED, "no NodeOpUpgrade or NodeOp nobody in namespace default"),
    (["status", "nodeop/nobody"], Exit.REFUSED, "no NodeOp nobody"),
    (["status", "pod/x"], Exit.USAGE, "nodeopupgrade/NAME"),
    (["why", "nobody"], Exit.REFUSED, "history -A"),
    (["plan"], Exit.USAGE, "either NAME or -f"),
    (["plan", "-f", "/no/such/file"], Exit.USAGE, "No such file"),
    (["logs", "nobody"], Exit.REFUSED, "nobody"),
    (["delete"], Exit.USAGE, "--finished"),
    (["delete", "--finished", "--older-than", "x"], Exit.USAGE, "no duration"),
    (["status", "--context", "nowhere"], Exit.UNREACHABLE, "nowhere"),
    (["status", "--kubeconfig", "/no/such"], Exit.UNREACHABLE, "/no/such"),
]


@pytest.mark.parametrize(("arguments", "code", "says"), BAD, ids=[" ".join(case[0])[:40] for case in BAD])
async def test_an_error_is_one_sentence_and_a_code(
    cluster: Site, arguments: list[str], code: Exit, says: str
) -> None:
    result = await cluster.call(*arguments)
    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert "Traceback" not in result.output
    if says:
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


async def test_a_name_that_is_taken_says_what_to_do(cluster: Site) -> None:
    cluster.operation(NODE_OP_UPGRADES, "u")
    result = await cluster.call("upgrade", TARGET, "--name", "u")
    assert result.exit_code == Exit.REFUSED
    assert "choose another --name" in result.stderr
