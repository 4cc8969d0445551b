"""The reboot program as its own process: a stub `nsenter`, real files, and an API server on loopback."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reboot.fakes import JOB, TOKEN, FakeNode, FakePodApi, is_alone_on_path, wait_until

STATE = "kairos.io/reboot-state"
BOOT_ID = "kairos.io/reboot-boot-id"
KILLED = -signal.SIGKILL


@pytest.fixture
def api() -> Iterator[FakePodApi]:
    server = FakePodApi()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def node(tmp_path: Path, api: FakePodApi) -> Iterator[FakeNode]:
    fake = FakeNode(tmp_path, api.url)
    assert is_alone_on_path(fake.nsenter)
    yield fake
    fake.close()


def test_a_job_that_succeeds_reboots_its_node_once(node: FakeNode, api: FakePodApi) -> None:
    process = node.start()
    wait_until("the program reads its pod", lambda: len(api.requests) == 1)
    assert node.reboots == 0
    node.succeed()
    assert process.wait(30) == KILLED
    assert api.annotations == {"other": "kept", STATE: "completed", BOOT_ID: "boot-id-1"}
    assert node.files() == [f"{JOB}.rebooting", f"{JOB}.requests"]

    assert node.run() == 0
    assert "The node came back with boot id boot-id-2." in node.log
    assert node.reboots == 1
    assert node.files() == []
    path = "/api/v1/namespaces/fleet/pods/reboot-worker-1"
    assert api.requests == [("GET", path), ("GET", path), ("PATCH", path), ("GET", path)]


def test_a_node_whose_boot_never_changes_is_not_rebooted_for_ever(node: FakeNode, api: FakePodApi) -> None:
    node.succeed()
    node.answer("pretend")
    assert [node.run() for _ in range(4)] == [KILLED, KILLED, KILLED, 0]
    assert node.reboots == 3
    assert "asked 3 times and is still in boot boot-id-1" in node.log
    assert api.annotations[STATE] == "completed"


def test_only_this_jobs_own_sentinel_counts(node: FakeNode, api: FakePodApi) -> None:
    (node.sentinels / "another-job").write_text("")
    (node.sentinels / f"{JOB}.new").write_text("")
    (node.sentinels / JOB).mkdir()
    process = node.start()
    wait_until("the program reads its pod", lambda: len(api.requests) == 1)
    with pytest.raises(Exception, match="timed out"):
        process.wait(0.5)
    assert node.reboots == 0


def test_a_pod_that_replaces_another_after_the_reboot_does_not_reboot_again(
    node: FakeNode, api: FakePodApi
) -> None:
    node.succeed()
    assert node.run() == KILLED
    api.annotations.clear()
    assert node.run() == 0
    assert node.reboots == 1
    assert api.annotations == {STATE: "completed", BOOT_ID: "boot-id-1"}
    assert node.files() == []


def test_killed_between_the_record_and_the_reboot_it_reboots_in_its_next_life(
    node: FakeNode, api: FakePodApi
) -> None:
    node.succeed()
    process = node.start(REBOOT_DELAY="20")
    wait_until("the reboot is recorded", lambda: STATE in api.annotations)
    process.kill()
    assert process.wait(30) == KILLED
    assert node.reboots == 0
    assert node.run() == KILLED
    assert node.run() == 0
    assert node.reboots == 1


def test_sigterm_ends_it_at_once_and_without_a_trace(node: FakeNode, api: FakePodApi) -> None:
    process = node.start(REBOOT_POLL="20")
    wait_until("the program reads its pod", lambda: len(api.requests) == 1)
    process.terminate()
    assert process.wait(10) == 143
    assert api.annotations == {"other": "kept"}
    assert node.files() == []


def test_sigterm_in_the_pause_before_the_reboot_only_postpones_it(node: FakeNode, api: FakePodApi) -> None:
    node.succeed()
    process = node.start(REBOOT_DELAY="20")
    wait_until("the reboot is recorded", lambda: STATE in api.annotations)
    process.terminate()
    assert process.wait(10) == 143
    assert node.reboots == 0
    assert node.run() == KILLED
    assert node.run() == 0
    assert node.reboots == 1


def test_a_refused_reboot_fails_for_good_with_its_reason(node: FakeNode, api: FakePodApi) -> None:
    node.succeed()
    node.answer("refuse")
    reason = "the reboot command failed with exit code 1: Failed to talk to init: no"
    assert node.run() == 1
    assert api.annotations[STATE] == f"failed: {reason}"
    assert node.termination_log.read_text() == reason
    assert node.files() == []

    node.answer("agree")
    node.termination_log.unlink()
    assert node.run() == 1
    assert node.reboots == 1
    assert node.termination_log.read_text() == reason


def test_an_accepted_reboot_that_never_comes_fails(node: FakeNode, api: FakePodApi) -> None:
    node.succeed()
    node.answer("ignore")
    assert node.run(REBOOT_PATIENCE="0.3") == 1
    assert api.annotations[STATE] == "failed: the node was still up 0.3 seconds after the reboot command"
    assert node.files() == []


def test_without_nsenter_it_fails_before_the_job_has_done_anything(node: FakeNode, api: FakePodApi) -> None:
    node.nsenter.unlink()
    assert node.run() == 1
    assert (
        api.annotations[STATE]
        == "failed: reading the node's boot id could not be started: No such file or directory (nsenter)"
    )


def test_no_reboot_while_it_cannot_be_recorded(node: FakeNode, api: FakePodApi) -> None:
    node.succeed()
    api.troubles = [0, 500, 403, 0, 401]
    process = node.start()
    wait_until("all troubles are over", lambda: not api.troubles)
    assert process.wait(30) == KILLED
    assert api.annotations[STATE] == "completed"

    api.annotations.clear()
    (node.sentinels / f"{JOB}.rebooting").unlink()
    node.succeed()
    process = node.start()
    api.troubles = [503] * 200
    wait_until("many refusals", lambda: len(api.troubles) < 190)
    assert node.reboots == 1
    api.troubles = []
    assert process.wait(30) == KILLED
    assert node.reboots == 2


def test_the_log_speaks_and_never_tells_the_token(node: FakeNode, api: FakePodApi) -> None:
    token = node.directory / "serviceaccount" / "token"
    token.write_text(f"{TOKEN}\nsecond-line\n")
    process = node.start()
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == (
        "Could not read the pod's annotations: the service account's token file holds no token. "
        "Trying again in 0.02 seconds.\n"
    )
    token.write_text(TOKEN)
    api.troubles = [401, 500]
    node.succeed()
    log = process.communicate(timeout=30)[0]
    assert "the answer was 401 made-up trouble" in log
    assert TOKEN not in log
    assert "second-line" not in log


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("JOB_NAME", ""),
        ("JOB_NAME", "../etc/passwd"),
        ("JOB_NAME", ".."),
        ("POD_NAME", ""),
        ("KAIROS_API_URL", ""),
        ("REBOOT_DELAY", "soon"),
        ("REBOOT_DELAY", "-1"),
        ("REBOOT_POLL", "0"),
        ("REBOOT_PATIENCE", "inf"),
    ],
)
def test_a_wrong_environment_ends_it_with_a_sentence(node: FakeNode, variable: str, value: str) -> None:
    assert node.run(**{variable: value}) == 2
    named = "KUBERNETES_SERVICE_HOST" if variable == "KAIROS_API_URL" else variable
    assert node.log.startswith(named)
    assert node.log.count("\n") == 1


def test_an_unreadable_marker_is_no_proof_of_a_reboot(node: FakeNode, api: FakePodApi) -> None:
    (node.sentinels / f"{JOB}.rebooting").write_bytes(b"\xff\x00\n")
    process = node.start()
    wait_until("the program reads its pod", lambda: len(api.requests) == 1)
    assert STATE not in api.annotations
    node.succeed()
    assert process.wait(30) == KILLED
    assert node.reboots == 1
