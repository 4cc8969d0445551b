"""Many seeds: in chunks, in processes, recorded on the way, so that a run may take days and be gone on with.

A record is a file of JSON lines, each of seeds in a row that the same code has played, which grow together as the
chunks between them end. What is there is not played again. The file is replaced as a whole, so no end of a run tears
it.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import resource
import subprocess
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import reduce
from itertools import islice
from pathlib import Path

from tests.sim.scenario import scenario
from tests.sim.simulation import Outcome, Simulation

CHUNK = 20  # seeds; a run that stops at the first failure stops after so many
RECORDED_CHUNK = 200
SEEDS_PER_COLLECTION = 8
ROOT = Path(__file__).parents[2]
PLAYED = (  # what a run is made of
    "crds",
    "kairos_operator/api",
    "kairos_operator/core",
    "kairos_operator/operator.py",
    "kairos_operator/runtime",
    "tests/sandbox/store",
    "tests/sim",
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some seeds in a row: what failed, by seed, and what it took, on one core.

    `seconds` is real time, `days` that of the cluster; `peak_mib` is the most memory that the process has had so far.
    """

    first: int
    count: int
    failed: dict[int, str]
    seconds: float
    requests: int
    days: float
    peak_mib: int

    @property
    def seeds(self) -> range:
        """The seeds."""
        return range(self.first, self.first + self.count)


def play(seed: int) -> Outcome:
    """Run one seed."""
    return Simulation(scenario(seed)).run()


def play_chunk(seeds: range) -> Chunk:
    """Run seeds in a row. A fault of the simulation itself counts as the seed's failure, and ends nothing."""
    began, requests, virtual, failed = time.monotonic(), 0, 0.0, dict[int, str]()
    gc.collect()
    gc.freeze()  # a simulation is one heap of cycles: collected whole after some seeds, and not again and again before
    gc.disable()
    try:
        for number, seed in enumerate(seeds, 1):
            try:
                outcome = play(seed)
            except Exception as fault:  # noqa: BLE001  # the other seeds are still worth playing
                failed[seed] = f"the simulation itself failed: {fault!r}"
            else:
                requests, virtual = requests + outcome.calls, virtual + outcome.seconds
                if outcome.broken:
                    failed[seed] = outcome.broken.splitlines()[0]
                del outcome
            if number % SEEDS_PER_COLLECTION == 0:
                gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    took = time.monotonic() - began
    return Chunk(seeds.start, len(seeds), failed, round(took, 3), requests, virtual / 86400, peak)


def chunks_of(seeds: range, size: int, done: Iterable[range] = ()) -> Iterator[range]:
    """The seeds that are not done, in chunks of at most `size`, each in a row."""
    known = sorted((one.start, one.stop) for one in done)
    first = seeds.start
    for start, stop in [*known, (seeds.stop, seeds.stop)]:
        until = min(start, seeds.stop)
        while first < until:
            yield range(first, min(first + size, until))
            first = min(first + size, until)
        first = max(first, stop)


def played(chunks: Iterable[range], jobs: int) -> Iterator[Chunk]:
    """Play chunks in so many processes, and hand out each as it ends."""
    if jobs <= 1:
        yield from map(play_chunk, chunks)
        return
    todo = iter(chunks)
    with ProcessPoolExecutor(jobs) as pool:
        running: set[Future[Chunk]] = set()
        try:
            while True:
                running |= {pool.submit(play_chunk, one) for one in islice(todo, 2 * jobs - len(running))}
                if not running:
                    return
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in ended)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class NotCommitted(Exception):
    """What is to be played has changes that no commit has."""


def code_id() -> str:
    """What is played, by its content: the same for two commits that differ elsewhere; "unknown" outside a repository.

    Raises NotCommitted: a record is to tell what its seeds were played by.
    """
    try:
        changed = _git("status", "--porcelain", "-uno", "--", *PLAYED)
        trees = _git("rev-parse", *(f"HEAD:{part}" for part in PLAYED))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    if changed:
        raise NotCommitted(f"commit these first, or play without a record:\n{changed}")
    return hashlib.sha256(trees.encode()).hexdigest()[:12]


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Record:
    """A file of what was played, by which code. One run at a time writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[tuple[str, Chunk]]:
        """What is recorded: the code and its seeds. Raises ValueError for a line that is none of a record."""
        found = []
        for number, line in enumerate(self.path.read_text().splitlines() if self.path.exists() else (), 1):
            try:
                told = json.loads(line)
                told["failed"] = {int(seed): why for seed, why in told["failed"].items()}
                found.append((str(told.pop("code")), Chunk(**told)))
            except (ValueError, KeyError, TypeError) as fault:
                raise ValueError(f"{self.path}, line {number}: not a line of a record ({fault})") from fault
        return found

    def played_by(self, code: str) -> list[range]:
        """The seeds that this code has played."""
        return [chunk.seeds for by, chunk in self.read() if by == code]

    def add(self, code: str, chunk: Chunk) -> None:
        """Put down a chunk, at once, in one line with those of its code that it adjoins."""
        kept = []
        for by, other in self.read():
            if by == code and chunk.seeds.start in (other.seeds.stop, other.first - chunk.count):
                chunk = _joined(chunk, other)
            else:
                kept.append((by, other))
        beside = self.path.with_name(self.path.name + ".new")
        lines = (json.dumps({"code": by, **asdict(one)}) + "\n" for by, one in [*kept, (code, chunk)])
        beside.write_text("".join(lines))
        os.replace(beside, self.path)

    def summary(self) -> str:
        """A row for docs/simulation.md for each code."""
        read = self.read()
        codes = dict.fromkeys(by for by, _ in read)
        return "\n".join(
            _row(code, sorted((one for by, one in read if by == code), key=lambda one: one.first))
            for code in codes
        )


def _joined(one: Chunk, other: Chunk) -> Chunk:
    return Chunk(
        min(one.first, other.first),
        one.count + other.count,
        one.failed | other.failed,
        round(one.seconds + other.seconds, 3),
        one.requests + other.requests,
        one.days + other.days,
        max(one.peak_mib, other.peak_mib),
    )


def _row(code: str, chunks: list[Chunk]) -> str:
    whole = reduce(_joined, chunks)
    failed = sorted(whole.failed)
    span = f"seeds {chunks[0].first} to {chunks[-1].seeds.stop - 1}, code {code}"
    names = f" ({', '.join(map(str, failed[:10]))}{', ...' if len(failed) > 10 else ''})" if failed else ""
    return (
        f"| {span} | {whole.count:,} | {whole.seconds / 3600:.1f} core hours "
        f"| {whole.count / whole.seconds:.1f}/s and core | {whole.requests / 1e6:.2f} million "
        f"| {whole.days:,.0f} days | {len(failed)}{names} |"
    )
