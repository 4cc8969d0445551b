"""The store: a Kubernetes API server's state and rules without HTTP, threads, wall clock or randomness.

Rules: every write is one commit with the next resourceVersion; objects are never changed in place, so what is
returned is shared and must not be changed by the caller (`copy_json` makes a copy to edit); what is passed in
is copied. All refusals are `StatusError`. The Job controller, kubelets and so on are somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tests.sandbox.store import writes
from tests.sandbox.store.conversion import shown
from tests.sandbox.store.deletes import DeleteOptions, Propagation, delete
from tests.sandbox.store.errors import not_found
from tests.sandbox.store.eviction import evict
from tests.sandbox.store.jsondata import Object, copy_json
from tests.sandbox.store.kinds import Address, Kind
from tests.sandbox.store.patches import PatchKind, patch_steps
from tests.sandbox.store.reads import Lists, Page
from tests.sandbox.store.state import State
from tests.sandbox.store.watches import Watch
from tests.sandbox.store.writes import Options, Steps, run


class Store(State):
    """An API server's objects.

    `clock` gives the time (aware), `uids` and `suffixes` give metadata.uid and the five characters of a generated
    name. `track_field_managers` keeps metadata.managedFields for every write as the real server does; without it
    only objects that were once applied have them, which saves a simulation most of a write's cost. `history` is the
    number of changes per resource that watches can start from.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        uids: Callable[[], str],
        suffixes: Callable[[], str],
        track_field_managers: bool = False,
        history: int = 4096,
    ) -> None:
        super().__init__(
            clock=clock,
            uids=uids,
            suffixes=suffixes,
            track_field_managers=track_field_managers,
            history=history,
        )
        self._lists = Lists(self)

    # Reading

    def kind(self, res: Address) -> Kind:
        """What is known of a resource; 404 when it is not served."""
        return res if isinstance(res, Kind) else self.catalogue.kind(res)

    def kinds(self) -> list[Kind]:
        return self.catalogue.kinds()

    def get(self, res: Address, name: str, namespace: str | None = None) -> Object:
        """One object; 404 NotFound."""
        kind = self.kind(res)
        found = self.find(kind, self.key(kind, name, namespace))
        if found is None:
            raise not_found(kind.group, kind.plural, name)
        return shown(kind, found)

    def list(
        self,
        res: Address,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> Page:
        """Objects in order of namespace and name; with `limit`, one page of a consistent snapshot.

        Raises 410 Expired for a continue token that is no longer known.
        """
        return self._lists.page(
            self.kind(res), namespace, label_selector, field_selector, limit, continue_token
        )

    def watch(
        self,
        res: Address,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        send_initial_events: bool = False,
        bookmarks: bool = False,
    ) -> Watch:
        """Changes after a version; "" and "0" begin with the present objects. 410 Expired outside the window."""
        return self._lists.watch(
            self.kind(res),
            namespace,
            resource_version,
            label_selector,
            field_selector,
            initial=send_initial_events,
            bookmarks=bookmarks,
        )

    def expire_continues(self) -> None:
        """Forget all list snapshots: every continue token answers 410 from now on."""
        self._lists.forget()

    def forget_history(self) -> None:
        """Forget all changes, as a restarted server's watch cache does: older watches answer 410."""
        for shelf in self._shelves.values():
            shelf.forget_all(self._version)

    # Writing

    def create(
        self,
        res: Address,
        body: Object,
        namespace: str | None = None,
        *,
        dry_run: bool = False,
        field_manager: str = "",
    ) -> Object:
        """A new object; 409 AlreadyExists, 422 Invalid."""
        kind = self.kind(res)
        options = Options(dry_run=dry_run, field_manager=field_manager)
        return self._done(kind, writes.create(self, kind, self.space(kind, namespace, body), body, options))

    def replace(
        self,
        res: Address,
        body: Object,
        name: str,
        namespace: str | None = None,
        *,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = "",
    ) -> Object:
        """A PUT; 409 Conflict when `body` carries another resourceVersion than the stored object."""
        kind = self.kind(res)
        key, given = self.key(kind, name, namespace), copy_json(body)
        options = Options(dry_run=dry_run, field_manager=field_manager)
        return self._done(kind, writes.replace(self, kind, key, given, options, subresource))

    def patch(
        self,
        res: Address,
        name: str,
        body: object,
        namespace: str | None = None,
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """A PATCH; "apply" creates a missing object and answers 409 with the conflicting fields unless `force`."""
        found = self.kind(res)
        options = Options(dry_run=dry_run, field_manager=field_manager, force=force, apply=kind == "apply")
        steps = patch_steps(self, found, self.key(found, name, namespace), kind, body, options, subresource)
        return self._done(found, steps)

    def delete(
        self,
        res: Address,
        name: str,
        namespace: str | None = None,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: Propagation | None = None,
        grace_period_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Mark or remove an object; returns its last state. 409 Conflict when a precondition does not hold."""
        kind = self.kind(res)
        wanted = DeleteOptions(
            uid, resource_version, propagation, grace_period_seconds, Options(dry_run=dry_run)
        )
        return self._done(kind, delete(self, kind, self.key(kind, name, namespace), wanted))

    def evict(
        self,
        name: str,
        namespace: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Object:
        """A POST to pods/eviction; 429 TooManyRequests where a disruption budget forbids it."""
        pods = self.storage_kind(("", "pods"))
        assert pods is not None
        wanted = DeleteOptions(uid, resource_version, None, grace_period_seconds, Options(dry_run=dry_run))
        return self._done(pods, evict(self, pods, (namespace, name), wanted))

    def collect_garbage(self) -> int:
        """Do what the garbage collector and the namespace controller have to do; returns the objects changed."""
        return self._garbage.collect()

    def _done(self, kind: Kind, steps: Steps) -> Object:
        return shown(kind, run(steps))
