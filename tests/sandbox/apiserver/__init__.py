"""The sandbox's API server: the store of tests.sandbox.store behind the HTTPS interface that kubectl speaks."""

from tests.sandbox.apiserver.server import ApiServer

__all__ = ["ApiServer"]
