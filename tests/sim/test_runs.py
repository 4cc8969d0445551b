"""Long runs: what is recorded on the way, what is not run again, and how a record is added up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from itertools import permutations
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
    """What was played is one line; a later run of the same code plays only the rest, and tells what it played."""
    path = tmp_path / "record"
    assert program.main(["--seeds", "3", "--start", "20", "--jobs", "2", "--record", str(path)]) == 0
    [line] = recorded(path)
    alone = [play(seed) for seed in (20, 21, 22)]
    assert (line["code"], line["first"], line["count"], line["failed"]) == ("abc", 20, 3, {})
    assert line["requests"] == sum(one.calls for one in alone)
    assert line["days"] == pytest.approx(sum(one.seconds for one in alone) / 86400)
    assert program.main(["--seeds", "5", "--start", "19", "--record", str(path)]) == 0
    [whole] = recorded(path)
    assert (whole["first"], whole["count"]) == (19, 5)
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 seeds in ")


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
    assert [one["count"] for one in recorded(path)] == [3]
    failed = {seed: why for _, chunk in Record(path).read() for seed, why in chunk.failed.items()}
    assert failed[0].startswith("Broken: ")
    assert failed[1] == "the simulation itself failed: ZeroDivisionError()"
    assert f"seed 0: {failed[0]}" in capsys.readouterr().out


def test_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each code has a row; its chunks are added up, in whatever order they ended."""
    path = tmp_path / "record"
    record = Record(path)
    for first, failed in ((2000, {}), (0, {}), (500, {512: "Broken: x"})):
        record.add("abc", Chunk(first, 500, failed, 900.0, 250_000, 1.5, 100))
    record.add("def", Chunk(1000, 10, {}, 1.0, 1, 0.1, 100))
    assert program.main(["--summary", str(path)]) == 0
    abc, other = capsys.readouterr().out.splitlines()
    cells = "1,500 | 0.8 core hours | 0.6/s and core | 0.75 million | 4 days | 1 (512)"
    assert abc == f"| seeds 0 to 2499, code abc | {cells} |"
    assert other.startswith("| seeds 1000 to 1009, code def | 10 |")


@pytest.mark.parametrize("order", list(permutations([(0, 2), (2, 3), (5, 1), (7, 2)])))
def test_a_record_grows_together(tmp_path: Path, order: tuple[tuple[int, int], ...]) -> None:
    """Chunks that adjoin are one line, whichever ended first; nothing of them is lost or counted twice."""
    record = Record(tmp_path / "record")
    for first, count in order:
        record.add("abc", Chunk(first, count, {first: "Broken: x"}, 1.0, 10 * count, 0.5, first))
    read = sorted((chunk for _, chunk in record.read()), key=lambda one: one.first)
    assert read == [
        Chunk(0, 6, dict.fromkeys((0, 2, 5), "Broken: x"), 3.0, 60, 1.5, 5),
        Chunk(7, 2, {7: "Broken: x"}, 1.0, 20, 0.5, 7),
    ]


def test_a_line_of_something_else_is_named(tmp_path: Path) -> None:
    """A file that is no record is not written over."""
    path = tmp_path / "record"
    path.write_text('{"code": "abc", "first": 1000}\n')
    with pytest.raises(ValueError, match="line 1: not a line of a record"):
        Record(path).add("abc", Chunk(0, 1, {}, 1.0, 1, 0.1, 100))
    assert path.read_text() == '{"code": "abc", "first": 1000}\n'


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


def repository(path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A repository with all that a run is made of, committed; returns a git to run in it."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], cwd=path, check=True)

    for part in ("README", *(f"{part}/file" for part in runs.PLAYED)):
        (path / part).parent.mkdir(parents=True, exist_ok=True)
        (path / part).write_text("1")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "1")
    monkeypatch.setattr(runs, "ROOT", path)
    return git


def test_code_is_known_by_what_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that changes something else plays the same; one that changes the operator does not."""
    git = repository(tmp_path, monkeypatch)
    first = runs.code_id()
    (tmp_path / "README").write_text("2")
    assert runs.code_id() == first
    git("commit", "--quiet", "-a", "-m", "2")
    assert runs.code_id() == first
    (tmp_path / "kairos_operator/core/file").write_text("2")
    git("commit", "--quiet", "-a", "-m", "3")
    assert runs.code_id() != first


def test_what_is_not_committed_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record tells by which code its seeds were played; with changes that no commit has, it could not."""
    repository(tmp_path, monkeypatch)
    monkeypatch.setattr(program, "code_id", runs.code_id)
    (tmp_path / "tests/sim/file").write_text("2")
    with pytest.raises(SystemExit):
        program.main(["--seeds", "1", "--record", str(tmp_path / "record")])
    assert "M tests/sim/file" in capsys.readouterr().err
    assert not (tmp_path / "record").exists()


def test_outside_of_a_repository_the_code_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unpacked archive can be played as well."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    assert runs.code_id() == "unknown"
