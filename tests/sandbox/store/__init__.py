"""The sandbox's API server without HTTP: objects, rules, watches, in memory and synchronous."""

from tests.sandbox.store.errors import Fault, StatusError
from tests.sandbox.store.jsondata import Object, copy_json
from tests.sandbox.store.kinds import Kind
from tests.sandbox.store.reads import Page
from tests.sandbox.store.sources import (
    counting_suffixes,
    counting_uids,
    random_suffix,
    random_uid,
    wall_clock,
)
from tests.sandbox.store.store import Store
from tests.sandbox.store.watches import Watch, WatchEvent

__all__ = [
    "Fault",
    "Kind",
    "Object",
    "Page",
    "StatusError",
    "Store",
    "Watch",
    "WatchEvent",
    "copy_json",
    "counting_suffixes",
    "counting_uids",
    "random_suffix",
    "random_uid",
    "wall_clock",
]
