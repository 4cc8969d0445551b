"""Hears what the operator logs with a traceback: one object's bug does not end the operator, but it ends the run."""

from __future__ import annotations

import logging
import traceback

from tests.sim.truth import Broken


class Bugs(logging.Handler):
    """Keeps the exceptions that were logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record that carries an exception, or says that an object cannot be read."""
        if record.exc_info and record.exc_info[1] is not None:
            self._found.append("".join(traceback.format_exception(record.exc_info[1])[-3:]))
        elif record.getMessage().startswith("cannot read an object"):
            self._found.append(record.getMessage())

    def raise_first(self) -> None:
        """Raise Broken if there was any."""
        if self._found:
            raise Broken(f"a bug: {self._found[0].strip()}")
