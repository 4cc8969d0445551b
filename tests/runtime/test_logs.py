"""Log lines as people and machines read them, without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from kairos_operator.logs import LogFormat, set_up


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


def test_chatty_libraries_stay_quiet_even_when_debugging() -> None:
    _, out = written("text", "debug")
    logging.getLogger("kr8s._auth").debug("loading credentials")
    logging.getLogger("httpx").info("GET")
    assert out.getvalue() == ""
