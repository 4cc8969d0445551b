"""Flags and environment: their defaults, their order, and errors that say what to do."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from kairos_operator.settings import Address, BadSetting, LeaseTimes, Settings, add_run_flags, parse_seconds


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text("{}")
    return tmp_path


def settings(home: Path, *flags: str, **environ: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_run_flags(parser)
    environ = {"HOME": str(home), "OPERATOR_IMAGE": "operator:1", **environ}
    return Settings.from_args(parser.parse_args(flags), environ, service_account=home / "account")


def test_the_defaults(home: Path) -> None:
    found = settings(home)
    assert found.kubeconfig == str(home / ".kube" / "config")
    assert (found.context, found.namespace, found.pod_name, found.pod_uid) == (None, "default", "", "")
    assert (found.leader_elect, found.lease) == (False, LeaseTimes(15, 10, 2))
    assert (found.metrics_address, found.health_address) == (None, Address("", 8081))
    assert (found.metrics_secure, found.metrics_cert_path, found.status_address) == (True, "", None)
    assert (found.webhook_port, found.webhook_cert_dir) == (9443, "")
    assert (found.log_level, found.log_format) == ("info", "text")
    assert (found.operator_image, found.sentinel_image) == ("operator:1", "")
    assert found.default_image == "busybox:latest"


def test_flags_and_variables_are_read(home: Path) -> None:
    found = settings(
        home,
        *("--context", "x", "--leader-elect", "--leader-elect-lease-duration=1m30s"),
        *("--metrics-bind-address=127.0.0.1:8080", "--health-probe-bind-address=[::1]:9", "--webhook-port=0"),
        *("--metrics-secure=false", "--metrics-cert-path=/m", "--status-bind-address=:8082"),
        *("--webhook-cert-dir=/certs", "--log-level=DEBUG", "--log-format=json"),
        SENTINEL_IMAGE="s",
        NODEOP_DEFAULT_IMAGE="d",
        CONTROLLER_POD_NAME="pod",
        CONTROLLER_POD_UID="uid",
        CONTROLLER_POD_NAMESPACE="system",
    )
    assert (found.context, found.leader_elect, found.lease.duration) == ("x", True, 90)
    assert found.metrics_address == Address("127.0.0.1", 8080)
    assert found.health_address == Address("::1", 9)
    assert (found.metrics_secure, found.metrics_cert_path) == (False, "/m")
    assert found.status_address == Address("", 8082)
    assert (found.webhook_port, found.webhook_cert_dir) == (0, "/certs")
    assert (found.log_level, found.log_format) == ("debug", "json")
    assert (found.sentinel_image, found.default_image) == ("s", "d")
    assert (found.pod_name, found.pod_uid, found.namespace) == ("pod", "uid", "system")


def test_leader_election_can_be_said_as_go_programs_say_it(home: Path) -> None:
    assert settings(home, "--leader-elect=true").leader_elect
    assert not settings(home, "--leader-elect=false").leader_elect


def test_the_way_to_the_cluster_is_searched_in_the_order_of_controller_runtime(home: Path) -> None:
    (home / "flag").write_text("{}")
    (home / "env").write_text("{}")
    both = ["--kubeconfig", str(home / "flag")]
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert settings(home, *both, KUBECONFIG=str(home / "env")).kubeconfig == str(home / "flag")
    assert settings(home, KUBECONFIG=str(home / "env"), **pod).kubeconfig == str(home / "env")
    assert settings(home, **pod).kubeconfig == str(home / ".kube" / "config")
    (home / "account").mkdir()
    (home / "account" / "token").write_text("t")
    assert settings(home, **pod).kubeconfig is None


def test_in_a_pod_the_namespace_is_that_of_the_service_account(home: Path) -> None:
    (home / "account").mkdir()
    (home / "account" / "namespace").write_text("kairos-system\n")
    assert settings(home).namespace == "kairos-system"


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        (["--kubeconfig=/none"], {}, ["--kubeconfig", "/none", "does not exist"]),
        ([], {"KUBECONFIG": "/none"}, ["KUBECONFIG", "/none", "does not exist"]),
        ([], {"HOME": "/none"}, ["--kubeconfig", "service account"]),
        (["--metrics-bind-address=8080"], {}, ["--metrics-bind-address", "'8080'", ":port"]),
        (["--metrics-bind-address=::1:80"], {}, ["--metrics-bind-address", "host:port"]),
        (["--health-probe-bind-address=:99999"], {}, ["--health-probe-bind-address", "65535"]),
        (["--webhook-port=x"], {}, ["--webhook-port", "'x'", "65535"]),
        (["--log-level=loud"], {}, ["--log-level", "'loud'", "debug, info"]),
        (["--log-format=xml"], {}, ["--log-format", "'xml'", "json"]),
        (["--leader-elect-retry-period=2"], {}, ["--leader-elect-retry-period", "'2'", "15s"]),
        (["--leader-elect-renew-deadline=20s"], {}, ["--leader-elect-renew-deadline", "20s", "grow"]),
        ([], {"OPERATOR_IMAGE": ""}, ["OPERATOR_IMAGE", "set it to"]),
        ([], {"SENTINEL_IMAGE": "a b"}, ["SENTINEL_IMAGE", "'a b'"]),
        ([], {"CONTROLLER_POD_NAMESPACE": "No Such"}, ["CONTROLLER_POD_NAMESPACE", "'No Such'"]),
    ],
)
def test_a_bad_value_is_named_with_its_remedy(
    home: Path, flags: list[str], environ: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(BadSetting) as caught:
        settings(home, *flags, **environ)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("1.5s", 1.5)]
)
def test_durations_are_written_as_in_go(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "15", "15 s", "-15s", "15s!", "15x"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 15s"):
        parse_seconds(text)
