"""`python -m tests.sim`: run seeds, tell the story of one, shrink what fails, or try the planted bugs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.sim import golden, mutants
from tests.sim.runs import CHUNK, RECORDED_CHUNK, NotCommitted, Record, chunks_of, code_id, played
from tests.sim.scenario import scenario
from tests.sim.shrink import shrunk, without
from tests.sim.simulation import Outcome, Simulation

STORY_LINES = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 1 where a seed failed or a planted bug was not found."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.stories:
        golden.write_all()
        return 0
    if args.mutants:
        return mutants.main(args.jobs)
    if args.summary:
        print(Record(args.summary).summary())
        return 0
    if args.seed is not None:
        return _one(
            args.seed, [name for name in args.without.split(",") if name], story=args.story, calls=args.calls
        )
    try:
        record = (Record(args.record), code_id()) if args.record else None
    except NotCommitted as fault:
        parser.error(str(fault))
    return _many(
        range(args.start, args.start + args.seeds), args.jobs, keep_going=args.keep_going, record=record
    )


def _parser() -> argparse.ArgumentParser:
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
    parser.add_argument(
        "--record",
        type=Path,
        help="put down in this file what was played; what is there is not run again, and no failure stops",
    )
    parser.add_argument("--summary", type=Path, help="add up such a record, as a row of docs/simulation.md")
    parser.add_argument("--mutants", action="store_true", help="try all planted bugs, and print the table")
    parser.add_argument("--stories", action="store_true", help="write the golden stories anew")
    return parser


def _many(seeds: range, jobs: int, *, keep_going: bool, record: tuple[Record, str] | None = None) -> int:
    """Run seeds; with a record and the code's name, those that are not in it, to the end. Returns 1 if one failed."""
    before = record[0].played_by(record[1]) if record else []
    size = RECORDED_CHUNK if record else CHUNK
    began, done, calls, days, said = time.monotonic(), 0, 0, 0.0, 0
    failed: dict[int, str] = {}
    for chunk in played(chunks_of(seeds, size, before), jobs):
        if record:
            record[0].add(record[1], chunk)
        done, calls, days = done + chunk.count, calls + chunk.requests, days + chunk.days
        failed |= chunk.failed
        for seed, why in chunk.failed.items():
            print(f"seed {seed}: {why}", flush=True)
        if chunk.failed and not keep_going and not record:
            break
        if done // 1000 > said:
            said = done // 1000
            took = time.monotonic() - began
            print(f"{done} seeds in {took:.0f} s ({done / took:.1f}/s, {chunk.peak_mib} MiB)", flush=True)
    took = time.monotonic() - began
    print(
        f"{done} seeds in {took:.1f} s ({done / took:.1f}/s), {calls} requests of the operator, "
        f"{days:.1f} days of cluster time, {len(failed)} failed"
    )
    if failed:
        _one(min(failed), [], story=False, calls=False)
    return 1 if failed else 0


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
