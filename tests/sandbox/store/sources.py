"""Where uids, name suffixes and the time come from: counted for simulations, random for servers."""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

ALPHABET = (
    "bcdfghjklmnpqrstvwxz2456789"  # k8s.io/apimachinery/pkg/util/rand: no vowels, nothing that looks alike
)
SUFFIX_LENGTH = 5


def counting_uids() -> Callable[[], str]:
    """uids that count up: 00000000-0000-4000-8000-000000000001 and so on."""
    numbers = itertools.count(1)
    return lambda: f"00000000-0000-4000-8000-{next(numbers):012x}"


def counting_suffixes() -> Callable[[], str]:
    """Suffixes that count up through the alphabet: bbbbb, bbbbc and so on."""
    numbers = itertools.count()

    def suffix() -> str:
        number, letters = next(numbers), ""
        for _ in range(SUFFIX_LENGTH):
            number, rest = divmod(number, len(ALPHABET))
            letters = ALPHABET[rest] + letters
        return letters

    return suffix


def random_uid() -> str:
    return str(uuid.uuid4())


def random_suffix() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(SUFFIX_LENGTH))


def wall_clock() -> datetime:
    return datetime.now(UTC)
