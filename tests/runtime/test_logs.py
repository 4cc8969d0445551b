"""Log lines as people and machines read them, without secrets."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from kairos_operator.logs import MAX_TEXT, LogFormat, set_up


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before[0], before[1]


def written(log_format: LogFormat, level: str = "info") -> tuple[logging.Logger, io.StringIO]:
    out = io.StringIO()
    set_up(level, log_format, out)
    return logging.getLogger("kairos_operator.test"), out


def test_text_has_time_level_message_and_fields() -> None:
    log, out = written("text")
    log.info("cordoned\nthe node", extra={"node": "n1", "why": 'the op "x" said so', "none": ""})
    log.debug("unseen")
    time, rest = out.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest == 'INFO cordoned\\nthe node node=n1 why="the op \\"x\\" said so" none=""\n'


def test_json_has_one_object_a_line_and_the_trace_in_it() -> None:
    log, out = written("json")
    log.info("first", extra={"node": "n1", "count": 3, "message_": "x"})
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("second")
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["level"], first["message"], first["node"], first["count"]) == ("info", "first", "n1", 3)
    assert first["logger"] == "kairos_operator.test"
    assert "ValueError: broken" in second["trace"]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_secrets_are_blanked_wherever_they_hide(log_format: LogFormat) -> None:
    log, out = written(log_format)
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
    key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----"
    log.info("asked with Bearer abc.def and %s", token, extra={"token": "hush", "client_key_data": "hush"})
    log.info("headers", extra={"headers": {"Authorization": f"Bearer {token}"}, "kept": "this stays"})
    try:
        raise ValueError(f"bad key {key}")
    except ValueError:
        log.exception("failed")
    text = out.getvalue()
    for secret in ("abc.def", token, "hush", "MHcCAQ", "c2lnbmF0dXJl"):
        assert secret not in text
    assert "this stays" in text


@pytest.mark.parametrize("before", ["token%3D", "x_", "/"])
def test_a_token_is_blanked_whatever_stands_before_it(before: str) -> None:
    log, out = written("text")
    log.info("asked with %seyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", before)
    assert "c2lnbmF0dXJl" not in out.getvalue()


def test_a_password_in_a_url_is_blanked_and_the_rest_of_it_stays() -> None:
    log, out = written("text")
    log.info("no answer through http://user:hunter2@proxy:3128/x for a@b")
    assert "through http://<redacted>@proxy:3128/x for a@b" in out.getvalue()


@pytest.mark.parametrize(
    "part", ["://", "://a", "eyJ", "eyJa.", "eyJaaaaaaaaaa.", "bearer ", "-----BEGIN ", "a-"]
)
def test_looking_for_secrets_takes_no_longer_than_the_text_is_long(part: str) -> None:
    """In a process of its own, which can be ended: work that grows with the square would take more than an hour."""
    look = f"from kairos_operator.logs import SECRET_TEXT; SECRET_TEXT.sub('', {part!r} * 1_000_000)"
    subprocess.run([sys.executable, "-c", look], check=True, timeout=60)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_long_texts_are_cut_and_say_so(log_format: LogFormat) -> None:
    log, out = written(log_format)
    log.info("a" * (MAX_TEXT + 7), extra={"field": "b" * (MAX_TEXT + 8)})
    try:
        raise ValueError("c" * 2 * MAX_TEXT)
    except ValueError:
        log.exception("d" * MAX_TEXT)
    text = out.getvalue()
    assert len(text) < 4 * MAX_TEXT + 1000
    assert "a...(7 characters more)" in text
    assert "b...(8 characters more)" in text
    assert "characters more)" in text.rpartition("c...(")[2]
    assert text.count("d") >= MAX_TEXT, "a text of just that length is whole"


def test_chatty_libraries_stay_quiet_even_when_debugging() -> None:
    _, out = written("text", "debug")
    logging.getLogger("kr8s._auth").debug("loading credentials")
    logging.getLogger("httpx").info("GET")
    assert out.getvalue() == ""
