"""Which addresses may be asked on behalf of somebody else."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentpod_core import AllowedAddresses

PUBLIC = ["1.1.1.1", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0"]
PUBLIC += ["100.63.255.255", "100.128.0.0", "169.253.255.255", "169.255.0.0", "126.255.255.255", "128.0.0.0"]
PUBLIC += ["223.255.255.255", "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::"]

PRIVATE = ["0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1"]
PRIVATE += ["127.0.0.1", "127.255.255.255", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.255"]
PRIVATE += ["192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "10.213.0.2"]
PRIVATE += ["168.63.129.16", "::ffff:168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254"]
PRIVATE += ["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"]
PRIVATE += ["::", "::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:db8::1", "100::1"]
PRIVATE += ["::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::10.0.0.1"]
PRIVATE += ["64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:a00:1::", "2002:7f00:1::1", "2001::1"]

NOBODY = AllowedAddresses()


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_allowed(address):
    """What anybody on the internet can reach, the server may ask."""
    assert NOBODY.allows(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_is_refused(address):
    """What only the server or its neighbours can reach is not asked, in whatever way it is written."""
    assert not NOBODY.allows(address)


@given(st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "169.254.0.0/16"]), st.data())
def test_private_ipv4_is_refused_in_every_dress(network, data):
    """An IPv4 address inside an IPv6 one is the same address."""
    address = data.draw(st.ip_addresses(v=4, network=network))
    number = int(address)
    dressed = [IPv6Address(0xFFFF << 32 | number), IPv6Address((0x64FF9B << 96) | number), IPv6Address(number)]
    assert [str(one) for one in [address, *dressed] if NOBODY.allows(str(one))] == []


@given(st.ip_addresses(v=4), st.integers(8, 32))
def test_allowed_network_is_allowed_and_no_other(address, length):
    """An operator opens a network, and nothing beside it."""
    network = ip_network((int(address) >> (32 - length) << (32 - length), length))
    allowed = AllowedAddresses.of([str(network)])
    assert allowed.allows(str(address))
    assert allowed.allows(f"::ffff:{address}")
    beside = IPv4Address(int(address) ^ (1 << (32 - length)))
    assert allowed.allows(str(beside)) == NOBODY.allows(str(beside))


@pytest.mark.parametrize("text", ["10.1.2.3", "10.1.2.0/24", "10.1.2.3/32"])
def test_single_addresses_and_networks_can_be_allowed(text):
    """A single address needs no mask."""
    assert AllowedAddresses.of([text]).allows("10.1.2.3")
    assert not AllowedAddresses.of([text]).allows("10.1.3.3")


def test_network_of_ipv6_can_be_allowed():
    """The rules are the same for both families."""
    allowed = AllowedAddresses.of(["fd00:1::/32"])
    assert allowed.allows("fd00:1::7")
    assert not allowed.allows("fd00:2::7")


def test_allowed_host_is_allowed_by_its_name_only():
    """A host that is allowed by name may be anywhere; the address that it has is not open to other names."""
    allowed = AllowedAddresses.of(["Alerts.internal"])
    assert allowed.allows("10.0.0.7", "alerts.internal")
    assert allowed.allows("10.0.0.7", "ALERTS.INTERNAL.")
    assert not allowed.allows("10.0.0.7", "other.internal")
    assert not allowed.allows("10.0.0.7")


def test_address_of_this_machine_is_not_public():
    """What is sent to oneself passes no firewall, so only the operator opens it."""
    assert not NOBODY.allows("1.1.1.1", is_own=True)
    assert AllowedAddresses.of(["1.1.1.1"]).allows("1.1.1.1", is_own=True)
    assert AllowedAddresses.of(["me.example"]).allows("1.1.1.1", "me.example", is_own=True)


def test_what_is_never_allowed_stays_so():
    """A network that was opened does not open the pods' own range within it, nor does a name."""
    allowed = AllowedAddresses.of(["10.0.0.0/8", "sly.example"], never=["10.213.0.0/16"])
    assert allowed.allows("10.1.0.1")
    assert not allowed.allows("10.213.0.2")
    assert not allowed.allows("::ffff:10.213.0.2")
    assert not allowed.allows("10.213.0.2", "sly.example")


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "10.0.0.256", "1.2.3", "fe80::/200", "::g", "", "."])
def test_mistaken_address_is_no_name(text):
    """A typing error in an address is not taken for the name of a host."""
    with pytest.raises(ValueError, match=r".*"):
        AllowedAddresses.of([text])


@pytest.mark.parametrize("text", ["localhost", "127.1", "2130706433", "0x7f000001", ""])
def test_only_addresses_can_be_asked_about(text):
    """A text that a resolver might understand is not judged: whoever connects resolves first."""
    with pytest.raises(ValueError, match=r".*"):
        NOBODY.allows(text)
