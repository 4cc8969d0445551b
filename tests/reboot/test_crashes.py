"""The program is killed after every step: the node is rebooted once, never twice and never not at all.

The program runs in this process on real files and a made-up node. Every effect (a file, an annotation, a
wait, the reboot) is a step, with a place to die before and after it; death is an exception that nothing
catches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from pathlib import Path

import pytest

from kairos_operator.api.names import ANNOTATION_REBOOT_BOOT_ID, ANNOTATION_REBOOT_STATE
from kairos_operator.reboot import host, program
from kairos_operator.reboot.files import JobFiles
from kairos_operator.reboot.pod import OwnPod, Seen
from kairos_operator.reboot.settings import Settings, settings_from

JOB = "upgrade-worker-1-abcde"
PLACES = 36
"""More places to die than all lives up to the end have; the test of the count below guards that."""


class Death(BaseException):
    """The container ends here."""


@dataclass
class World:
    """A node, its sentinel directory and its pod, over all lives of the program."""

    settings: Settings
    deaths: list[int]
    boot: int = 1
    reboots: int = 0
    place: int = 0
    annotations: dict[str, str] = field(default_factory=dict)

    def boot_id(self) -> str:
        return f"boot-id-{self.boot}"

    def may_die(self) -> None:
        self.place += 1
        assert self.place < 200, "the program waits for ever: the reboot is lost"
        if self.deaths and self.place == self.deaths[0]:
            self.deaths.pop(0)
            raise Death

    def request_reboot(self, _timeout: float) -> None:
        assert self.annotations[ANNOTATION_REBOOT_STATE] == "completed"
        assert self.annotations[ANNOTATION_REBOOT_BOOT_ID] == self.boot_id()
        assert not (self.settings.sentinel_dir / JOB).exists()
        self.may_die()
        self.reboots += 1
        self.boot += 1
        raise Death


class MortalFiles(JobFiles):
    """The real files, with a place to die at every step."""

    __slots__ = ()
    world: World

    def mark(self, boot_id: str) -> None:
        _around(self.world, lambda: JobFiles.mark(self, boot_id))

    def remove_sentinel(self) -> None:
        _around(self.world, lambda: JobFiles.remove_sentinel(self))

    def remove_all(self) -> None:
        _around(self.world, lambda: JobFiles.remove_all(self))


class MortalPod(OwnPod):
    """A pod whose annotations are the world's."""

    __slots__ = ()
    world: World

    def read(self) -> Seen:
        self.world.may_die()
        return Seen(dict(self.world.annotations))

    def annotate(self, annotations: dict[str, str]) -> Seen:
        _around(self.world, lambda: self.world.annotations.update(annotations))
        return Seen(dict(self.world.annotations))


def _around(world: World, step: Callable[[], None]) -> None:
    world.may_die()
    step()
    world.may_die()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {"POD_NAME": "p", "POD_NAMESPACE": "n", "JOB_NAME": JOB, "KAIROS_API_URL": "http://127.0.0.1:1"}
    sentinels = tmp_path / "sentinel"
    sentinels.mkdir()
    return replace(settings_from(environ), sentinel_dir=sentinels, termination_log=tmp_path / "log")


def _live(world: World, monkeypatch: pytest.MonkeyPatch) -> int:
    """One life of the program in one container."""
    monkeypatch.setattr(host, "read_boot_id", world.boot_id)
    monkeypatch.setattr(host, "request_reboot", world.request_reboot)
    monkeypatch.setattr("time.sleep", lambda _seconds: world.may_die())
    monkeypatch.setattr(MortalFiles, "world", world, raising=False)
    monkeypatch.setattr(MortalPod, "world", world, raising=False)
    files = MortalFiles(world.settings.sentinel_dir, JOB)
    return program.RebootProgram(world.settings, MortalPod(world.settings), files).run()


def _live_on(world: World, monkeypatch: pytest.MonkeyPatch, after_death: Callable[[World], None]) -> int:
    """Restarts the program until it ends by itself."""
    (world.settings.sentinel_dir / JOB).write_text(JOB)
    for _ in range(10):
        reboots = world.reboots
        try:
            return _live(world, monkeypatch)
        except Death:
            if world.reboots == reboots:
                after_death(world)
    raise AssertionError("the program does not come to an end")


def _nothing(_world: World) -> None:
    """The kubelet restarts the container."""


def _power_loss(world: World) -> None:
    world.boot += 1


def _new_pod(world: World) -> None:
    """The pod is replaced by one without annotations, as long as its Job's files are there to go on from."""
    if any(world.settings.sentinel_dir.iterdir()):
        world.annotations.clear()


def _assert_rebooted(world: World) -> None:
    assert world.reboots <= 1
    assert world.boot > 1
    assert world.annotations[ANNOTATION_REBOOT_STATE] == "completed"
    assert world.annotations[ANNOTATION_REBOOT_BOOT_ID] != world.boot_id()
    assert list(world.settings.sentinel_dir.iterdir()) == []


def test_there_are_fewer_places_to_die_than_are_tried(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(settings, deaths=[4, 8])
    assert _live_on(world, monkeypatch, _nothing) == 0
    assert world.deaths == []
    assert 16 < world.place < PLACES


@pytest.mark.parametrize("after_death", [_nothing, _new_pod])
@pytest.mark.parametrize("place", range(1, PLACES))
def test_one_death_means_one_reboot(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, place: int, after_death: Callable[[World], None]
) -> None:
    world = World(settings, deaths=[place])
    assert _live_on(world, monkeypatch, after_death) == 0
    assert world.reboots == 1
    _assert_rebooted(world)


@pytest.mark.parametrize("place", range(1, PLACES))
def test_after_a_power_loss_the_node_is_rebooted_at_most_once_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    world = World(settings, deaths=[place])
    assert _live_on(world, monkeypatch, _power_loss) == 0
    _assert_rebooted(world)


def test_two_deaths_of_any_kind_at_any_places(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = (_nothing, _new_pod, _power_loss)
    places = combinations(range(1, PLACES), 2)
    for deaths, fates in product(places, product(kinds, repeat=2)):
        world = World(settings, deaths=list(deaths))
        left = iter(fates)
        assert _live_on(world, monkeypatch, lambda w, left=left: next(left)(w)) == 0, (deaths, fates)  # type: ignore[misc]
        _assert_rebooted(world)


def test_a_refused_reboot_is_final_at_every_place(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in range(1, PLACES):
        world = World(settings, deaths=[place])

        def refuse(_timeout: float) -> None:
            raise host.HostError("the reboot command failed with exit code 1: no")

        monkeypatch.setattr(World, "request_reboot", lambda self, timeout: refuse(timeout))
        assert _live_on(world, monkeypatch, _nothing) == 1
        assert _live_on(world, monkeypatch, _nothing) == 1
        assert world.annotations[ANNOTATION_REBOOT_STATE].startswith("failed: the reboot command failed")
        assert settings.termination_log.read_text() == "the reboot command failed with exit code 1: no"
        assert list(settings.sentinel_dir.iterdir()) == []
