"""`python -m tests.sim`: run seeds, tell the story of one, shrink what fails, or try the planted bugs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import NamedTuple

from tests.sim import golden, mutants
from tests.sim.scenario import scenario
from tests.sim.shrink import shrunk, without
from tests.sim.simulation import Outcome, Simulation

STORY_LINES = 40


class Result(NamedTuple):
    """One seed's end, small enough to be sent between processes."""

    seed: int
    broken: str
    calls: int
    seconds: float


def play(seed: int) -> Result:
    """Run one seed."""
    outcome = Simulation(scenario(seed)).run()
    return Result(seed, outcome.broken, outcome.calls, outcome.seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 1 where a seed failed or a planted bug was not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to run (default 1000)")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes to run them in")
    parser.add_argument("--seed", type=int, help="run this seed alone, and tell its story if it fails")
    parser.add_argument("--story", action="store_true", help="tell the whole story of --seed in any case")
    parser.add_argument("--calls", action="store_true", help="with --story: every call too")
    parser.add_argument(
        "--without", default="", help="what to leave out of --seed: names, with commas between them"
    )
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first seed that fails")
    parser.add_argument("--mutants", action="store_true", help="try all planted bugs, and print the table")
    parser.add_argument("--stories", action="store_true", help="write the golden stories anew")
    args = parser.parse_args(arguments)
    if args.stories:
        golden.write_all()
        return 0
    if args.mutants:
        return mutants.main(args.jobs)
    if args.seed is not None:
        return _one(
            args.seed, [name for name in args.without.split(",") if name], story=args.story, calls=args.calls
        )
    return _many(range(args.start, args.start + args.seeds), args.jobs, keep_going=args.keep_going)


def _many(seeds: range, jobs: int, *, keep_going: bool) -> int:
    began, done, calls, virtual, failed = time.monotonic(), 0, 0, 0.0, list[Result]()
    for result in _played(seeds, jobs):
        done, calls, virtual = done + 1, calls + result.calls, virtual + result.seconds
        if result.broken:
            failed.append(result)
            print(f"seed {result.seed}: {result.broken.splitlines()[0]}", flush=True)
            if not keep_going:
                break
        if done % 1000 == 0:
            print(f"{done} seeds in {time.monotonic() - began:.0f} s", flush=True)
    took = time.monotonic() - began
    print(
        f"{done} seeds in {took:.1f} s ({done / took:.1f}/s), {calls} requests of the operator, "
        f"{virtual / 86400:.1f} days of cluster time, {len(failed)} failed"
    )
    if failed:
        _one(failed[0].seed, [], story=False, calls=False)
    return 1 if failed else 0


def _played(seeds: range, jobs: int) -> Iterable[Result]:
    if jobs <= 1:
        yield from map(play, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        todo = iter(seeds)
        while batch := list(islice(todo, 200 * jobs)):
            yield from pool.map(play, batch, chunksize=20)


def _one(seed: int, left_out: list[str], *, story: bool, calls: bool) -> int:
    whole = scenario(seed)
    outcome = Simulation(without(whole, left_out), detailed=calls).run()
    if outcome.broken and not left_out:
        left_out = shrunk(whole, lambda one: Simulation(one).run().broken)
        outcome = Simulation(without(whole, left_out), detailed=calls).run()
    _tell(outcome, whole_story=story)
    if outcome.broken:
        names = f" --without {','.join(left_out)}" if left_out else ""
        print(f"\nreplay: python -m tests.sim --seed {seed}{names} --story")
    return 1 if outcome.broken else 0


def _tell(outcome: Outcome, *, whole_story: bool) -> None:
    lines = outcome.journal.text().splitlines()
    if not whole_story and not outcome.broken:
        print(f"seed {outcome.scenario.seed} is fine")
        return
    if not whole_story and len(lines) > STORY_LINES:
        print(f"... {len(lines) - STORY_LINES} lines before, which --story tells")
        lines = lines[-STORY_LINES:]
    print("\n".join(lines))
    print(outcome.broken or "fine")


if __name__ == "__main__":
    sys.exit(main())
