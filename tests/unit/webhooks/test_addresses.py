from __future__ import annotations

import ipaddress

import pytest

from wsnode.domain.webhook_addresses import literal, problem_with


def problem(address: str, host: str = "a.example", allowed: tuple[str, ...] = ()) -> str | None:
    return problem_with(ipaddress.ip_address(address), host, [ipaddress.ip_network(one) for one in allowed])


@pytest.mark.parametrize("address", ["203.0.114.9", "10.1.2.3", "192.168.0.9", "172.16.0.1", "2600::1", "fd12::1"])
def test_receivers_may_be_public_or_in_a_private_network(address: str) -> None:
    """Ordinary addresses are told."""
    assert problem(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.7.7",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fe80::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_link_local_and_metadata_addresses_are_refused(address: str) -> None:
    """Neither by themselves nor inside an IPv6 address are they told, whatever name leads there."""
    assert "a link-local or metadata address; WEBHOOK_ALLOW can allow it" in (problem(address) or "")
    assert problem(address, host=address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1"])
def test_addresses_of_no_single_machine_are_refused(address: str) -> None:
    """Multicast, reserved and unspecified addresses are told nothing."""
    assert "no address of a single machine" in (problem(address) or "")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_only_by_its_own_name(address: str) -> None:
    """This machine is told when the URL says so, not when some name leads here."""
    assert problem(address, host="localhost") is None
    assert problem(address, host="127.0.0.1") is None
    assert "this machine, by another name than localhost" in (problem(address) or "")


def test_the_operator_may_allow_networks() -> None:
    """WEBHOOK_ALLOW wins, for its networks only."""
    assert problem("169.254.10.5", allowed=("169.254.10.0/24", "fe80::/10")) is None
    assert problem("fe80::5", allowed=("169.254.10.0/24", "fe80::/10")) is None
    assert problem("169.254.11.5", allowed=("169.254.10.0/24",))


def test_hosts_that_are_addresses() -> None:
    """An address is known as one, with brackets or without; a name is not."""
    assert literal("[::1]") == ipaddress.ip_address("::1")
    assert literal("10.0.0.1") == ipaddress.ip_address("10.0.0.1")
    assert literal("a.example") is None
