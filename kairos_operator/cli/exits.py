"""How a command ends: exit codes that scripts can rely on, and errors as one sentence with its remedy."""

from __future__ import annotations

from enum import IntEnum

from kairos_operator.api.resources import GROUP
from kairos_operator.runtime.errors import (
    AlreadyExists,
    ApiError,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    Unauthorized,
    Unreachable,
)


class Exit(IntEnum):
    """The exit codes; docs/kubectl-kairos.md explains them to users."""

    DONE = 0
    FAILED = 1  # the operation that was asked about has failed
    USAGE = 2  # the command line makes no sense
    UNFINISHED = 3  # not finished (yet), held up, or --timeout has passed
    UNREACHABLE = 4  # no cluster, no answer, or no login
    REFUSED = 5  # the cluster answered and said no: no such object, no right, not valid
    INTERRUPTED = 130  # Ctrl-C, as shells count it


class Trouble(Exception):
    """Why a command cannot go on, in a sentence that says what to do about it."""

    def __init__(self, sentence: str, code: Exit = Exit.REFUSED) -> None:
        super().__init__(sentence)
        self.code = code


def explained(error: ApiError) -> Trouble:
    """An API error in the words of somebody who has to get on."""
    said = error.message.rstrip(".")
    match error:
        case Unreachable():
            return Trouble(f"{said}; check the network and --context", Exit.UNREACHABLE)
        case Unauthorized():
            return Trouble(f"the cluster does not accept your login ({said}); log in again", Exit.UNREACHABLE)
        case ServerError():
            return Trouble(
                f"the API server could not answer ({said}); try again in a moment", Exit.UNREACHABLE
            )
        case Forbidden():
            return Trouble(f"not allowed: {said}; `kubectl auth can-i --list` shows your rights")
        case NotFound() if not error.details.get("name"):
            return Trouble(
                f"the cluster does not know the kinds of {GROUP}; install the operator, or choose another --context"
            )
        case AlreadyExists():
            return Trouble(f"{said}; an operation runs once, so choose another --name or none at all")
        case Invalid():
            return Trouble(f"the cluster refused the object: {said}")
    return Trouble(said)
