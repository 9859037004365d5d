"""URLs of webhooks: one reading for the check and for the call, and what no URL may have."""

import pytest

from acestep_ray.webhooks.target import LONGEST_URL, BadUrl, Target, target_of


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://2130706433/", "127.0.0.1"),  # decimal
        ("http://0x7f000001/", "127.0.0.1"),  # hexadecimal
        ("http://0177.0.0.1/", "127.0.0.1"),  # octal
        ("http://127.1/", "127.0.0.1"),  # short
        ("http://%31%32%37.0.0.1/", "127.0.0.1"),
        ("http://①②⑦.0.0.1/", "127.0.0.1"),
        ("http://[::ffff:127.0.0.1]/", "::ffff:7f00:1"),
        ("http://[0:0:0:0:0:0:0:1]/", "::1"),
        ("http://LOCALHOST./", "localhost."),
        ("https://bücher.example/", "xn--bcher-kva.example"),
    ],
)
def test_a_host_in_disguise_is_read_once(url: str, host: str) -> None:
    """Otherwise a check would see a name, and the call an address."""
    target = target_of(url)
    # ipaddress writes mapped addresses in one of two ways, depending on the version of Python.
    assert target.host.replace("::ffff:127.0.0.1", "::ffff:7f00:1") == host
    assert target_of(target.url) == target


def test_the_parts_of_a_url() -> None:
    assert target_of("HTTPS://Music.example.org/Hook/ü?a=1&b= ".strip()) == Target(
        "https", "music.example.org", 443, "/Hook/%C3%BC?a=1&b="
    )
    assert target_of("http://h?x").path == "/?x"
    assert target_of("http://[2001:db8::1]:8080/").authority == "[2001:db8::1]:8080"
    assert target_of("https://h:443/").authority == "h"
    assert target_of("https://h:80/").authority == "h:80"
    assert target_of("https://h.example./").server_name == "h.example"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hook",
        "/hook",
        "//h/hook",
        "file:///etc/passwd",
        "gopher://h/",
        "http:/h/",
        "http:///h",
        "http://",
        "http://?x",
        "http://h:0/",
        "http://h:65536/",
        "http://h:port/",
        "http://user@h/",
        "http://user:password@h/",
        "http://@h/",
        "http://127.0.0.1@other.example/",
        "http://other.example\\@127.0.0.1/",
        "http://h/#fragment",
        "http://h/a b",
        "http://h\n/",
        "http://h\t.example/",
        "http://h/\r\nX-Header: 1",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://1.2.3.4.5/",
        "http://h/" + "x" * LONGEST_URL,
    ],
)
def test_what_is_no_url_of_a_webhook(url: str) -> None:
    with pytest.raises(BadUrl):
        target_of(url)
