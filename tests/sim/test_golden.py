"""The named stories are told as they are committed."""

from __future__ import annotations

import pytest

from tests.sim.golden import GOLDEN, STORIES, story


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_story(name: str) -> None:
    """A changed story is to be read: `python -m tests.sim --stories` writes them, the diff tells."""
    told = story(name)
    assert told.endswith("Nothing was broken.\n")
    assert told == (STORIES / f"{name}.txt").read_text()


def test_no_story_is_left_over() -> None:
    """Every committed story belongs to a scenario."""
    assert {path.stem for path in STORIES.glob("*.txt")} == set(GOLDEN)
