"""A slice of the simulation: the seeds that ever failed, fresh ones, and some of the planted bugs."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sim.mutants import MUTANTS, Mutant, hunt
from tests.sim.scenario import scenario
from tests.sim.shrink import shrunk, without
from tests.sim.simulation import Simulation

HERE = Path(__file__).parent
KEPT = [
    int(line.split()[0]) for line in (HERE / "kept_seeds.txt").read_text().splitlines() if line[:1].isdigit()
]
FRESH_SECONDS = 30.0
QUICK = [mutant for mutant in MUTANTS if mutant.within <= 100]
_STORY = "from tests.sim.scenario import scenario; from tests.sim.simulation import Simulation; "
_STORY += "o = Simulation(scenario({seed}), detailed=True).run(); print(o.journal.text(), o.broken, o.seconds, o.calls)"


@pytest.mark.parametrize("seed", KEPT)
def test_seed_that_once_failed(seed: int) -> None:
    """What was found once is found again, if it comes back."""
    assert Simulation(scenario(seed)).run().broken == ""


def test_a_slice_of_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds that nobody has seen before, as many as the time allows, printed."""
    first = random.SystemRandom().randrange(10**6, 10**9)
    seed, until = first, time.monotonic() + FRESH_SECONDS
    while time.monotonic() < until and seed - first < 300:
        broken = Simulation(scenario(seed)).run().broken
        assert broken == "", f"python -m tests.sim --seed {seed}: {broken}"
        seed += 1
    with capsys.disabled():
        print(f"\n{seed - first} seeds from {first}", end=" ")


@pytest.mark.parametrize("mutant", QUICK, ids=lambda mutant: mutant.bug)
def test_planted_bug_is_found(mutant: Mutant) -> None:
    """The judge sees the bugs that show soon; `python -m tests.sim --mutants` plants all of them."""
    assert hunt(mutant).seeds > 0


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.bug)
def test_every_planted_bug_has_its_place(mutant: Mutant) -> None:
    """A bug whose text is no longer in the code would test nothing; it leaves no trace once it is taken out."""
    sound = mutant.function().__code__
    with mutant.planted():
        bad = mutant.function().__code__
        assert (bad.co_code, bad.co_consts, bad.co_names) != (sound.co_code, sound.co_consts, sound.co_names)
    assert mutant.function().__code__ is sound


@pytest.mark.parametrize("seed", [12, 18])
def test_same_seed_same_story_in_every_process(seed: int) -> None:
    """Neither the process nor its hash seed has a say in what happens."""
    stories = {_story_of(seed, hashing) for hashing in ("0", "1", "4711")}
    assert len(stories) == 1
    assert len(stories.pop().splitlines()) > 50


def _story_of(seed: int, hashing: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _STORY.format(seed=seed)],
        cwd=HERE.parents[1],
        env={"PYTHONHASHSEED": hashing, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_shrinking_leaves_out_what_does_not_matter() -> None:
    """A bug that shows in any weather is shown in none."""
    mutant = next(mutant for mutant in MUTANTS if mutant.bug == "the Job is made before its reboot pod")
    with mutant.planted():
        seed = hunt_first(mutant)
        left_out = shrunk(scenario(seed), lambda one: Simulation(one).run().broken)
        smaller = without(scenario(seed), left_out)
        assert Simulation(smaller).run().broken
    assert len(smaller.operations) == 1
    assert len(smaller.nodes) == 1
    assert {"weather", "incidents"} & set(left_out)


def hunt_first(mutant: Mutant) -> int:
    """The first seed that finds a bug that is planted already."""
    return next(seed for seed in range(mutant.within) if Simulation(scenario(seed)).run().broken)
