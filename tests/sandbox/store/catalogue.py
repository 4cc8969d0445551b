"""Which resources there are: the built-in ones and those that CustomResourceDefinitions bring."""

from __future__ import annotations

from tests.sandbox.store.crds import custom_kinds
from tests.sandbox.store.custom import Custom
from tests.sandbox.store.errors import no_such_path
from tests.sandbox.store.jsondata import Object
from tests.sandbox.store.kinds import BUILT_IN, Address, Kind
from tests.sandbox.store.strategies import BuiltIn, Strategy

Named = tuple[str, str, str]  # group, version, plural

_BUILT_IN: dict[Named, Kind] = {(kind.group, kind.version, kind.plural): kind for kind in BUILT_IN}
_RULES: dict[Named, Strategy] = {name: BuiltIn(kind) for name, kind in _BUILT_IN.items()}


class Catalogue:
    """The served kinds and their strategies."""

    def __init__(self) -> None:
        self._kinds: dict[Named, Kind] = dict(_BUILT_IN)
        self._rules: dict[Named, Strategy] = dict(_RULES)
        self._storage: dict[tuple[str, str], Kind] = {}
        for kind in BUILT_IN:
            self._storage.setdefault(kind.store_key, kind)
        self._of_definition: dict[str, list[Named]] = {}
        self.revision = 0  # counts changes, for caches of discovery documents

    def kind(self, address: Address) -> Kind:
        """The kind at an address; 404 when nothing is served there."""
        found = self._kinds.get((address.group, address.version, address.plural))
        if found is None:
            raise no_such_path()
        return found

    def kinds(self) -> list[Kind]:
        return list(self._kinds.values())

    def strategy(self, kind: Kind) -> Strategy:
        return self._rules[kind.group, kind.version, kind.plural]

    def storage_kind(self, shelf: tuple[str, str]) -> Kind | None:
        """The kind whose apiVersion the objects of a shelf carry."""
        return self._storage.get(shelf)

    def define(self, definition: Object) -> None:
        """Serve what a definition says, in place of what it said before."""
        self.forget(definition)
        served = custom_kinds(definition)
        names = []
        for kind in served:
            named = (kind.group, kind.version, kind.plural)
            self._kinds[named] = kind
            self._rules[named] = Custom(kind)
            names.append(named)
            if kind.api_version == kind.storage_version:
                self._storage[kind.store_key] = kind
        self._of_definition[definition["metadata"]["name"]] = names

    def forget(self, definition: Object) -> None:
        """Stop serving what a definition brought."""
        self.revision += 1
        for named in self._of_definition.pop(definition["metadata"]["name"], []):
            kind = self._kinds.pop(named)
            del self._rules[named]
            self._storage.pop(kind.store_key, None)
