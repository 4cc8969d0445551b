"""Many seeds: in chunks, in processes, recorded on the way, so that a run may take hours and be gone on with.

A record is a file of JSON lines, one for each finished chunk. What was played by the same code is not played again;
a line that was torn by the end of a run counts as not written.
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from itertools import islice
from os import SEEK_END
from pathlib import Path

from tests.sim.scenario import scenario
from tests.sim.simulation import Outcome, Simulation

CHUNK = 20  # seeds; a run that stops at the first failure stops after so many
RECORDED_CHUNK = 200
SEEDS_PER_COLLECTION = 8
ROOT = Path(__file__).parents[2]


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


def code_id() -> str:
    """The commit that is run, with a word where the files differ from it; "unknown" outside of a repository."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return f"{commit} and changes" if _git("status", "--porcelain", "-uno") else commit
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Record:
    """A file of finished chunks, each with the code that played it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[tuple[str, Chunk]]:
        """What is recorded: the code and the chunk, in the order of their ends."""
        found = []
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            try:
                told = json.loads(line)
                told["failed"] = {int(seed): why for seed, why in told["failed"].items()}
                found.append((str(told.pop("code")), Chunk(**told)))
            except (ValueError, KeyError, TypeError):
                continue  # torn by the end of a run: as if it had not been played
        return found

    def played_by(self, code: str) -> list[range]:
        """The seeds that this code has played."""
        return [chunk.seeds for by, chunk in self.read() if by == code]

    def add(self, code: str, chunk: Chunk) -> None:
        """Append a chunk, at once."""
        line = json.dumps({"code": code, **asdict(chunk)}) + "\n"
        with self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, SEEK_END)
                line = line if file.read() == b"\n" else "\n" + line
            file.write(line.encode())

    def summary(self) -> str:
        """A row for docs/simulation.md for each code, seeds that it played more than once counted once."""
        rows = []
        for code in dict.fromkeys(by for by, _ in self.read()):
            chunks, free = list[Chunk](), 0
            for chunk in sorted((one for by, one in self.read() if by == code), key=lambda one: one.first):
                if chunk.first >= free:
                    chunks.append(chunk)
                    free = chunk.seeds.stop
            rows.append(_row(code, chunks))
        return "\n".join(rows)


def _row(code: str, chunks: list[Chunk]) -> str:
    count, took = sum(one.count for one in chunks), sum(one.seconds for one in chunks)
    failed = sorted(seed for one in chunks for seed in one.failed)
    requests, days = sum(one.requests for one in chunks), sum(one.days for one in chunks)
    span = f"seeds {chunks[0].first} to {chunks[-1].seeds.stop - 1}, at {code}"
    names = f" ({', '.join(map(str, failed[:10]))}{', ...' if len(failed) > 10 else ''})" if failed else ""
    return (
        f"| {span} | {count:,} | {took / 3600:.1f} core hours | {count / took:.1f}/s and core "
        f"| {requests / 1e6:.2f} million | {days:,.0f} days | {len(failed)}{names} |"
    )
