"""The certificate that an environment makes for its own addresses, on the real API over a simulated host."""

from __future__ import annotations

from dataclasses import replace

from cryptography import x509

from samovar.deploy.plan import Action
from samovar.deploy.resources.address import reserved_addresses
from samovar.deploy.resources.resource import Kind, Ref
from samovar.deploy.resources.secret import Secret, read_certificates
from samovar.project.environment import Environment
from tests.support.environments import changed
from tests.support.service import Service


def test_a_renamed_group_gets_its_address_into_the_certificate_and_the_secret_has_the_same_id(
    service: Service, dev: Environment
) -> None:
    service.roll_out(dev)
    certificate = Ref(Kind.SECRET, "dev-certificate")
    former = service.ids(dev)[certificate]
    front = changed(dev.group("nginx"), name="front")
    renamed = changed(dev, groups=(front, *(group for group in dev.groups if group.name != "nginx")))
    (step,) = (step for step in service.plan(renamed).steps if step.ref == certificate)
    assert (step.action, "addresses: dev-nginx -> dev-front" in step.reason) == (Action.UPDATE, True)
    service.roll_out(renamed)
    assert service.ids(renamed)[certificate] == former
    (pem,) = read_certificates(service.session, renamed)
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    address = reserved_addresses(service.session, "dev")["dev-front"]
    assert [str(each.value) for each in names.value] == [address]


def test_a_certificate_without_its_addresses_in_its_description_is_left_alone() -> None:
    """One that a former version made is for the addresses that there were."""
    desired = Secret("certificate", ("dev-nginx",), domain="tea.example.org", addresses=("dev-nginx",))
    assert replace(desired, addresses=()).differing(desired) == ()
    assert replace(desired, addresses=("dev-front",)).differing(desired) == ("addresses",)
    assert replace(desired, addresses=(), domain="", replaced=True).differing(desired) == ()
