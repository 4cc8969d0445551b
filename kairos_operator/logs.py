"""Log lines, as text (`time level message key=value ...`) or as JSON, one a line.

Fields come through `extra`. Nothing secret is written: fields with a telling name are blanked, and so is
anything in a text that looks like a bearer token. Texts may be anybody's: each is cut to `MAX_TEXT`, and what
is done with one takes no longer than it is long.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, TextIO

LogFormat = Literal["text", "json"]
LEVELS = ("debug", "info", "warning", "error")

BLANK = "<redacted>"
MAX_TEXT = 64 * 2**10
"""Characters of a message, a field or a trace; a trace through many causes is long, and its end says the most."""
SECRET_FIELD = re.compile(
    r"token|secret|password|passwd|authorization|private|credential|key_data", re.IGNORECASE
)
# A bearer token by its scheme, a JSON web token by its first part, a private key by its armour, the user and password
# of a URL by their place. A token is looked for once in a word: from each `eyJ` in it anew, a long word of nothing else
# would take hours.
SECRET_TEXT = re.compile(
    r"(?i:bearer\s+)\S+"
    r"|(?<![\w-])(?=[\w-]*?eyJ[\w-]{10})[\w-]++(?:\.[\w-]+){1,2}"
    r"|(?<=://)[^\s/@]+(?=@)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END[^-]*-----|$)",
    re.DOTALL,
)
_LEAST = len(vars(logging.makeLogRecord({})))
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up(level: str, log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Send all logs to the stream (standard error), and nothing anywhere else."""
    out = logging.StreamHandler(stream or sys.stderr)
    out.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore", "asyncio", "kr8s"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    # No line shows any of these, and they cost as much as the rest of a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class TextFormatter(logging.Formatter):
    """`2026-01-02T03:04:05.678Z INFO message key=value`; values with spaces or quotes are quoted."""

    def format(self, record: logging.LogRecord) -> str:
        words = [_time(record), record.levelname, _one_line(_message(record))]
        words += [f"{name}={_quoted(value)}" for name, value in _fields(record)]
        return " ".join(words) + _trace(self, record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = dict(_fields(record)) | {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if trace := _trace(self, record):
            line["trace"] = trace.strip()
        return json.dumps(line, default=str, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    seconds = int(record.created)
    return f"{_second(seconds)}.{int((record.created - seconds) * 1000):03d}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    """What a second's time reads as; there may be hundreds of lines in one."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _message(record: logging.LogRecord) -> str:
    return _shown(record.getMessage())


def _shown(text: str) -> str:
    """The text without secrets, and cut where it is too long, which is said."""
    cut = f"...({len(text) - MAX_TEXT} characters more)" if len(text) > MAX_TEXT else ""
    return SECRET_TEXT.sub(BLANK, text[:MAX_TEXT]) + cut


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    if len(vars(record)) <= _LEAST:
        return
    for name, value in vars(record).items():
        if name not in _OWN:
            yield name, BLANK if SECRET_FIELD.search(name) else _without_secrets(value)


def _without_secrets(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _shown(str(value))


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or re.search(r'[\s"=]', text) else text


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return "\n" + _shown(formatter.formatException(record.exc_info)) if record.exc_info else ""
