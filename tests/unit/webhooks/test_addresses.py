"""Which addresses may be called: nothing that only this service, or its network, can reach."""

from ipaddress import ip_address

import pytest

from acestep_ray.settings import Webhooks
from acestep_ray.webhooks.addresses import may_be_called

PUBLIC = (
    "1.1.1.1",
    "9.255.255.255",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "64:ff9b::101:101",  # 1.1.1.1 behind NAT64
    "2002:101:101::1",  # 1.1.1.1 by 6to4
)
NOT_PUBLIC = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # metadata of a cloud
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # platform service of a cloud
    "169.254.169.254",  # metadata of most clouds
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # metadata of a cloud
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata of a cloud
    "fe80::1",
    "fe80::1%2",
    "fec0::1",
    "ff02::1",
)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses(text: str) -> None:
    assert may_be_called(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_all_others(text: str) -> None:
    assert not may_be_called(ip_address(text))


@pytest.mark.parametrize(
    ("allow", "allowed", "refused"),
    [
        ("loopback", ["127.0.0.1", "::1", "::ffff:127.0.0.1"], ["10.0.0.1", "0.0.0.0", "::"]),
        ("private", ["10.1.1.1", "172.20.0.1", "192.168.0.9", "fd00::1"],
         ["127.0.0.1", "::1", "169.254.169.254", "100.64.0.1", "fe80::1"]),
        ("10.1.0.0/16, ::1", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "::1"],
         ["10.2.0.1", "127.0.0.1"]),
        ("169.254.169.254", ["169.254.169.254"], ["169.254.169.253"]),
        ("::/0", ["fe80::1", "::1"], ["10.0.0.1"]),
        ("0.0.0.0/0", ["127.0.0.1"], ["::1"]),
    ],
)  # fmt: skip
def test_the_setting_allows_what_it_names(
    allow: str, allowed: list[str], refused: list[str]
) -> None:
    networks = Webhooks.model_validate({"allow": allow}).allowed_networks
    assert all(may_be_called(ip_address(one), networks) for one in [*allowed, *PUBLIC])
    assert not any(may_be_called(ip_address(one), networks) for one in refused)
