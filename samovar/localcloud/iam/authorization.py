"""Roles are bound to subjects on a resource, its folder or its cloud; from them follows who may call which method.

A call needs the primitive role, the service's own role of the same name (`editor`, or `compute.editor`), or one of
those in `service_roles.py`, on a folder or the cloud; the operator needs none. A role on one folder counts in all of
them. A service that needs more than that to decide, as who may read a secret, decides itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import MethodDescriptor
from yandex.cloud.access.access_pb2 import AccessBinding, AccessBindingAction, AccessBindingDelta, Subject
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount
from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.core.api_methods import is_read
from samovar.localcloud import clock
from samovar.localcloud.api.errors import denied
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.api.tokens import OPERATOR
from samovar.localcloud.iam.service_roles import UNKNOWN, roles_for
from samovar.localcloud.store.store import NoteKey, Store

POSTPONED = NoteKey[dict[str, float]]("access.postponed")
"""A note on a resource: bindings that do not count before a date, in seconds since 1970, by their JSON."""
BINDINGS = NoteKey[list[list[str]]]("access.bindings")
EVERYONE = frozenset({"allAuthenticatedUsers", "allUsers"})
OPERATION_SERVICE = "yandex.cloud.operation.OperationService"
READ_ROLES, WRITE_ROLES, ADMIN_ROLES = ("viewer", "editor", "admin"), ("editor", "admin"), ("admin",)


class AccessBindings:
    """The bindings of all resources. Those of a resource are deleted with it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def bindings(self, resource_id: str) -> list[AccessBinding]:
        return [_binding(*plain) for plain in self._store.noted(resource_id, BINDINGS, [])]

    def replace(self, resource_id: str, bindings: Iterable[AccessBinding]) -> list[AccessBindingDelta]:
        """Make these the bindings of a resource, each once; return the changes."""
        before = self.bindings(resource_id)
        after = [_binding(*plain) for plain in dict.fromkeys(tuple(_plain(binding)) for binding in bindings)]
        self._store.note(resource_id, BINDINGS, [_plain(binding) for binding in after])
        removed = [_delta(AccessBindingAction.REMOVE, binding) for binding in before if binding not in after]
        return removed + [_delta(AccessBindingAction.ADD, binding) for binding in after if binding not in before]

    def grant(self, resource_id: str, role: str, account_id: str) -> None:
        """Bind a role to a service account, unless it is bound already."""
        binding, bound = _binding(role, account_id, "serviceAccount"), self.bindings(resource_id)
        if binding not in bound:
            self.replace(resource_id, [*bound, binding])

    def roles(self, caller: Caller, resource_ids: Iterable[str]) -> frozenset[str]:
        """Return the roles that a caller has on any of these resources."""
        subjects = EVERYONE | {caller.subject}
        bound = (binding for resource_id in resource_ids for binding in self._effective(resource_id))
        return frozenset(binding.role_id for binding in bound if binding.subject.id in subjects)

    def roles_over(self, caller: Caller, resource_id: str, folder_id: str) -> frozenset[str]:
        """Return the roles that a caller has on a resource, on its folder or on its cloud."""
        folder = self._store.get(Folder, folder_id)
        return self.roles(caller, (resource_id, folder_id, folder.cloud_id if folder else ""))

    def postpone(self, resource_id: str, bindings: Iterable[AccessBinding], *, until: float) -> None:
        """Let bindings of a resource count from a date on only."""
        if added := {json.dumps(_plain(binding)): until for binding in bindings}:
            self._store.note(resource_id, POSTPONED, {**self._postponed(resource_id), **added})

    def _postponed(self, resource_id: str) -> dict[str, float]:
        """Return the bindings that do not count yet."""
        noted = self._store.noted(resource_id, POSTPONED, {})
        return {binding: until for binding, until in noted.items() if clock.now() < until}

    def _effective(self, resource_id: str) -> list[AccessBinding]:
        postponed = self._postponed(resource_id)
        return [each for each in self.bindings(resource_id) if json.dumps(_plain(each)) not in postponed]

    def held(self, caller: Caller) -> frozenset[str]:
        """Return all roles that a caller has on folders and on the cloud."""
        places = [place.id for kind in (Folder, Cloud) for place in self._store.all(kind)]
        return self.roles(caller, places)


class Authorizer:
    """The authorizer refuses callers that lack the roles for a method."""

    def __init__(
        self, store: Store, role_prefixes: Mapping[str, str] | None = None, exempt: Iterable[str] = ()
    ) -> None:
        """`role_prefixes` and `exempt` name services in full; exempt ones authorize a service account themselves."""
        self._store = store
        self._bindings = AccessBindings(store)
        self._role_prefixes = role_prefixes or {}
        self._exempt = frozenset(exempt)

    def check(self, caller: Caller, method: MethodDescriptor) -> None:
        """Raise PERMISSION_DENIED unless the caller may call the method on whatever it names."""
        service = method.containing_service.full_name
        if caller.subject == OPERATOR:
            return
        if self._store.get(ServiceAccount, caller.subject) is None:
            raise denied(f"Permission denied: there is no service account {caller.subject}")
        if service in self._exempt:
            return
        held, sufficient = self._bindings.held(caller), self._sufficient_roles(method)
        if not held & sufficient and not (held and service == OPERATION_SERVICE):
            names = ", ".join(sorted(sufficient))
            raise denied(f"Permission denied: {method.full_name} takes one of {names}; {caller.subject} has none")

    def check_operator(self, caller: Caller) -> None:
        """Refuse everyone but the operator and the operator's own account.

        Image storage and the admin API reach the host, and no role leads there.
        """
        account = self._store.get(ServiceAccount, caller.subject)
        if caller.subject != OPERATOR and (account is None or account.folder_id):
            raise denied(f"Permission denied: this is for the operator alone, and not for {caller.subject}")

    def _sufficient_roles(self, method: MethodDescriptor) -> frozenset[str]:
        """Return the roles of which one is enough."""
        service = method.containing_service.full_name
        prefix = self._role_prefixes.get(service, service.split(".")[2])
        levels: tuple[str, ...] = WRITE_ROLES
        reads = is_read(method.full_name)
        if reads:
            levels = READ_ROLES
        elif method.name.endswith("AccessBindings"):
            levels = ADMIN_ROLES
        special = roles_for(method.containing_service.name, method.name, prefix, reads=reads)
        return frozenset(levels) | {f"{prefix}.{level}" for level in levels} - UNKNOWN | special


def _binding(role: str, subject: str, kind: str) -> AccessBinding:
    return AccessBinding(role_id=role, subject=Subject(id=subject, type=kind))


def _plain(binding: AccessBinding) -> list[str]:
    return [binding.role_id, binding.subject.id, binding.subject.type]


def _delta(action: AccessBindingAction.ValueType, binding: AccessBinding) -> AccessBindingDelta:
    return AccessBindingDelta(action=action, access_binding=binding)
