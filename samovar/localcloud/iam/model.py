"""Service accounts, their keys, and who may act as an account: have a machine or a group work as it, or get its key.

As in Yandex Cloud that takes `iam.serviceAccounts.user` or a role that includes it, on the account, its folder or its
cloud. Beyond that no caller gets at an account that may do more in folders and clouds than the caller may. The
operator's own account lies in no folder: the API does not show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.iam.v1.api_key_pb2 import ApiKey
from yandex.cloud.iam.v1.awscompatibility.access_key_pb2 import AccessKey
from yandex.cloud.iam.v1.key_pb2 import Key
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.localcloud.api.errors import already_exists, denied, not_found, precondition, unimplemented
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.api.tokens import OPERATOR
from samovar.localcloud.iam.authorization import AccessBindings
from samovar.localcloud.resources.model import Repository, stamp
from samovar.localcloud.store.store import Store, Stored

KEY_BITS = {Key.RSA_2048: 2048, Key.RSA_4096: 4096}
USE = frozenset({"iam.serviceAccounts.user", "iam.serviceAccounts.admin", "iam.editor", "iam.admin", "editor", "admin"})
"""Each of these roles lets its holder attach an account."""


class ServiceAccounts(Repository[ServiceAccount]):
    """The accounts of machines and of groups, and the operator's, which is in no folder."""

    kind, id_prefix = ServiceAccount, "aje"

    def claim_name(self, folder_id: str, name: str, own_id: str = "") -> None:
        """Refuse a name that another account of the cloud has ("unique within the cloud", service_account.proto)."""
        cloud_id = self._cloud_id(folder_id)
        named = self.store.all(self.kind, name=name) if name else []
        if any(other.id != own_id and self._cloud_id(other.folder_id) == cloud_id for other in named):
            raise already_exists(self.noun, name)

    def _cloud_id(self, folder_id: str) -> str:
        folder = self.store.get(Folder, folder_id)
        return folder.cloud_id if folder else ""

    def by_id(self, resource_id: str) -> ServiceAccount:
        """Return an account. Raises Refused with NOT_FOUND, also for the operator's own."""
        account = super().by_id(resource_id)
        if not account.folder_id:
            raise not_found(self.noun, resource_id)
        return account

    def delete(self, resource_id: str) -> None:
        """Delete an account with its keys of every kind."""
        for kind in (Key, ApiKey, AccessKey):
            for key in self.store.all(kind, scope=resource_id):
                self.store.delete(kind, key.id)
        super().delete(resource_id)


class AccountKey(Stored, Protocol):
    """A key of a service account, as the API describes every kind of them."""

    @property
    def service_account_id(self) -> str: ...


KeyT = TypeVar("KeyT", bound=AccountKey)


class AccountKeys(Repository[KeyT]):
    """The keys of service accounts, of one kind. What is secret of a key is given out once and not kept."""

    id_prefix = "aje"

    def put(self, resource: KeyT) -> None:
        self.store.put(resource, scope=resource.service_account_id)

    def by_id(self, resource_id: str) -> KeyT:
        """Return a key. Raises Refused with NOT_FOUND, also for one of the operator's own account."""
        key = super().by_id(resource_id)
        ServiceAccounts(self.store).by_id(key.service_account_id)
        return key

    def of_account(self, account_id: str) -> list[KeyT]:
        """Return the keys of an account. Raises Refused with NOT_FOUND where the API does not show the account."""
        ServiceAccounts(self.store).by_id(account_id)
        return self.store.all(self.kind, scope=account_id)


class Keys(AccountKeys[Key]):
    """Authorized keys."""

    kind = Key

    def make(
        self, account_id: str, description: str = "", algorithm: Key.Algorithm.ValueType = Key.RSA_2048
    ) -> tuple[Key, str]:
        """Return a new key and its private half as PEM, whether or not the API shows the account."""
        if algorithm not in KEY_BITS:
            raise unimplemented(f"key_algorithm {algorithm}")
        private = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS[algorithm])
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        key = Key(
            id=self.new_id(),
            service_account_id=account_id,
            description=description,
            key_algorithm=algorithm,
            public_key=public.decode(),
        )
        stamp(key)
        self.put(key)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key, pem.decode()


class ApiKeys(AccountKeys[ApiKey]):
    """API keys."""

    kind = ApiKey


class AccessKeys(AccountKeys[AccessKey]):
    """Static access keys."""

    kind = AccessKey


def check_unused(store: Store, account_id: str) -> None:
    """Refuse to delete an account that manages an instance group (compute/concepts/instance-groups/access).

    The documentation says the same of the account of a machine (iam/operations/sa/delete), but the provider of
    Terraform deletes one before its machine has let go of it (v0.129.0, TestAccComputeInstance_update).
    """
    for group in store.all(InstanceGroup):
        if account_id == group.service_account_id:
            raise precondition(f"ServiceAccount {account_id} manages the instance group {group.id}")


def may_use(store: Store, caller: Caller, account_id: str) -> bool:
    """Return whether the caller may let something work as an account: by a role on it, its folder or its cloud."""
    account = store.get(ServiceAccount, account_id)
    return account is not None and bool(USE & AccessBindings(store).roles_over(caller, account.id, account.folder_id))


def check_use(store: Store, caller: Caller, account_ids: Iterable[str]) -> None:
    """Raise NOT_FOUND or PERMISSION_DENIED unless the caller may let something work as each of these accounts."""
    for account_id in filter(None, account_ids):
        ServiceAccounts(store).by_id(account_id)
        if caller.subject != OPERATOR and not may_use(store, caller, account_id):
            raise denied(f"Permission denied: {caller.subject} lacks iam.serviceAccounts.user on {account_id}")
        check_no_more(store, caller, account_id)


def check_no_more(store: Store, caller: Caller, account_id: str) -> None:
    """Raise PERMISSION_DENIED where the account has a role in a folder or a cloud that the caller lacks."""
    bindings = AccessBindings(store)
    if caller.subject == OPERATOR:
        return
    held = bindings.held(caller)
    more = sorted(role for role in bindings.held(Caller(account_id)) if not covers(held, role))
    if more:
        raise denied(f"Permission denied: {account_id} may do more than {caller.subject}: {', '.join(more)}")


def covers(held: frozenset[str], role: str) -> bool:
    """Return whether roles include another: itself, its service's administrator, or a primitive role as wide."""
    parent, _, level = role.rpartition(".")
    if held & {"admin", role, f"{parent}.admin", f"{role.partition('.')[0]}.admin"}:
        return True
    return "editor" in held and level != "admin"
