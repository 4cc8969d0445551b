"""The reboot program in a pod that is being deleted, before its kubelet has heard: the node may be another's by now."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reboot.fakes import JOB, FakeNode, FakePodApi, wait_until
from tests.reboot.test_process import BOOT_ID, KILLED, STATE
from tests.reboot.test_process import api as api  # the fixture


@pytest.fixture
def node(tmp_path: Path, api: FakePodApi) -> Iterator[FakeNode]:
    fake = FakeNode(tmp_path, api.url)
    yield fake
    fake.close()


def _waits(process: subprocess.Popen[str]) -> None:
    """It says that it does not reboot, and goes on until it is told to end."""
    assert process.stdout is not None
    assert any("This pod is being deleted: the node is not rebooted." in line for line in process.stdout)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.terminate()
    assert process.wait(10) == 143


def test_nothing_is_touched_and_another_pod_can_go_on(node: FakeNode, api: FakePodApi) -> None:
    process = node.start()
    wait_until("the program reads its pod", lambda: len(api.requests) == 1)
    api.troubles = [0, 503]  # the node was cut off when the pod was deleted
    api.deleted_from = 2
    node.succeed()
    _waits(process)
    assert node.reboots == 0
    assert node.files() == [JOB]
    assert api.annotations == {"other": "kept"}

    api.deleted_from = None
    assert node.run() == KILLED
    assert node.run() == 0
    assert node.reboots == 1


def test_deleted_before_the_record_arrived(node: FakeNode, api: FakePodApi) -> None:
    node.succeed()
    api.deleted_from = 3
    _waits(node.start())
    assert api.requests[-1][0] == "PATCH"
    assert node.reboots == 0
    assert node.files() == [f"{JOB}.rebooting"]

    api.deleted_from = None
    api.annotations.clear()
    assert node.run() == KILLED
    assert node.run() == 0
    assert node.reboots == 1


def test_deleted_between_the_record_and_the_reboot(node: FakeNode, api: FakePodApi) -> None:
    node.succeed()
    process = node.start(REBOOT_DELAY="20")
    wait_until("the reboot is recorded", lambda: STATE in api.annotations)
    process.kill()
    process.wait(30)
    api.deleted_from = 0
    _waits(node.start())
    assert node.reboots == 0


def test_a_node_that_is_back_is_cleared_up_all_the_same(node: FakeNode, api: FakePodApi) -> None:
    node.succeed()
    assert node.run() == KILLED
    api.deleted_from = 0
    assert node.run() == 0
    assert node.files() == []
    assert api.annotations == {"other": "kept", STATE: "completed", BOOT_ID: "boot-id-1"}
