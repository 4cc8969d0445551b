"""Long runs: what is recorded on the way, what is not run again, and how a record is added up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sim import __main__ as program
from tests.sim import runs
from tests.sim.mutants import MUTANTS
from tests.sim.runs import Chunk, Record, chunks_of, play, play_chunk
from tests.sim.simulation import Outcome


@pytest.fixture(autouse=True)
def _small_chunks_of_one_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "RECORDED_CHUNK", 2)
    monkeypatch.setattr(program, "code_id", lambda: "abc")


def recorded(path: Path) -> list[dict[str, object]]:
    """The lines of a record."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_goes_on_where_it_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each chunk leaves a line; a later run of the same code plays only what has none, and tells what it played."""
    path = tmp_path / "record"
    assert program.main(["--seeds", "3", "--start", "20", "--jobs", "2", "--record", str(path)]) == 0
    lines = recorded(path)
    assert sorted((one["first"], one["count"]) for one in lines) == [(20, 2), (22, 1)]
    first = next(one for one in lines if one["first"] == 22)
    alone = play(22)
    assert (first["code"], first["failed"], first["requests"]) == ("abc", {}, alone.calls)
    assert first["days"] == pytest.approx(alone.seconds / 86400)
    assert program.main(["--seeds", "4", "--start", "20", "--record", str(path)]) == 0
    assert recorded(path)[:2] == lines
    assert [(one["first"], one["count"]) for one in recorded(path)[2:]] == [(23, 1)]
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 seeds in ")


def test_other_code_plays_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another commit has played says nothing about this one."""
    path = tmp_path / "record"
    for code in ("abc", "def"):
        monkeypatch.setattr(program, "code_id", lambda code=code: code)
        assert program.main(["--seeds", "1", "--start", "22", "--record", str(path)]) == 0
    assert [one["code"] for one in recorded(path)] == ["abc", "def"]


def test_failures_are_recorded_and_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A seed that fails, and one over which the simulation itself stumbles, are both named; the rest is played."""
    mutant = next(one for one in MUTANTS if one.bug == "actions are done before the status is stored")
    monkeypatch.setattr(program, "_one", lambda *_, **__: 1)

    def stumble(seed: int) -> Outcome:
        if seed == 1:
            raise ZeroDivisionError
        return play(seed)

    monkeypatch.setattr(runs, "play", stumble)
    path = tmp_path / "record"
    with mutant.planted():
        assert program.main(["--seeds", "3", "--record", str(path)]) == 1
    lines = recorded(path)
    assert sum(one["count"] for one in lines) == 3  # type: ignore[misc]
    failed = {seed: why for _, chunk in Record(path).read() for seed, why in chunk.failed.items()}
    assert failed[0].startswith("Broken: ")
    assert failed[1] == "the simulation itself failed: ZeroDivisionError()"
    assert f"seed 0: {failed[0]}" in capsys.readouterr().out


def test_summary_counts_each_seed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The row of a code adds up its chunks; what was played twice, and a torn line, do not count."""
    path = tmp_path / "record"
    record = Record(path)
    for first, failed in ((0, {}), (500, {512: "Broken: x"}), (0, {})):
        record.add("abc", Chunk(first, 500, failed, 900.0, 250_000, 1.5, 100))
    with path.open("a") as file:
        file.write('{"code": "abc", "first": 1000, "cou')
    record.add("def", Chunk(0, 10, {}, 1.0, 1, 0.1, 100))
    assert program.main(["--summary", str(path)]) == 0
    abc, other = capsys.readouterr().out.splitlines()
    cells = "1,000 | 0.5 core hours | 0.6/s and core | 0.50 million | 3 days | 1 (512)"
    assert abc == f"| seeds 0 to 999, at abc | {cells} |"
    assert other.startswith("| seeds 0 to 9, at def | 10 |")


def test_chunks_leave_out_what_is_done() -> None:
    """Whatever was done, each seed is in one chunk or in none."""
    done = [range(5, 9), range(3), range(7, 11), range(28, 40)]
    found = list(chunks_of(range(2, 30), 4, done))
    assert found == [range(3, 5), range(11, 15), range(15, 19), range(19, 23), range(23, 27), range(27, 28)]
    assert list(chunks_of(range(5), 4)) == [range(4), range(4, 5)]


def test_a_chunk_tells_the_same_as_its_seeds() -> None:
    """Collecting garbage seldom changes nothing in what happens."""
    chunk, alone = play_chunk(range(40, 43)), [play(seed) for seed in range(40, 43)]
    assert chunk.requests == sum(one.calls for one in alone)
    assert chunk.days == pytest.approx(sum(one.seconds for one in alone) / 86400)


def test_code_is_known() -> None:
    """A line of a record names the commit that was run."""
    assert runs.code_id() == "unknown" or len(runs.code_id().split()[0]) == 12
