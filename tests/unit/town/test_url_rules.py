"""URLs of clusters and sentinels: what they say, what is refused, and what is shown of them."""

from __future__ import annotations

import pytest

from ledger import StoreUnavailableError
from town.home.passwords import shown_url, split_password
from town.trust.url_rules import GroupUrl, read_group_url, refuse_unfit_url


def read(url: str) -> GroupUrl:
    refuse_unfit_url(url)
    return read_group_url(url)


def test_cluster_url_names_its_nodes() -> None:
    """Hosts with and without a port, also IPv6; user and password; options as redis-py's arguments."""
    found = read("redis+cluster://ann:p%40ss@a:7000,b,[::1]:7002/0?protocol=3")
    assert found == GroupUrl(
        is_tls=False,
        hosts=(("a", 7000), ("b", 6379), ("::1", 7002)),
        service=None,
        db=0,
        username="ann",
        password="p@ss",
        options={"protocol": 3},
    )


@pytest.mark.parametrize("scheme", ["rediss+cluster", "valkeys+cluster", "rediss+sentinel", "valkeys+sentinel"])
def test_tls_is_asked_for_by_the_scheme(scheme: str) -> None:
    """And takes the options of TLS, client certificates among them."""
    found = read(
        f"{scheme}://a/service?ssl_certfile=/c.pem&ssl_check_hostname=no".replace("cluster://a/service", "cluster://a")
    )
    assert found.is_tls
    assert found.options == {"ssl_certfile": "/c.pem", "ssl_check_hostname": False}


def test_sentinel_url_names_service_and_database() -> None:
    """The port of sentinels is another one by default."""
    found = read("valkey+sentinel://:secret@a,b:5000/main/2")
    assert (found.hosts, found.service, found.db) == ((("a", 26379), ("b", 5000)), "main", 2)
    assert (found.username, found.password) == (None, "secret")
    assert read("redis+sentinel://a/main?db=3").db == 3


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+cluster://", "a host is missing"),
        ("redis+cluster://a,,b", "a host is missing"),
        ("redis+cluster://a:x", "cannot be read"),
        ("redis+cluster://a/1", "no database but 0"),
        ("redis+cluster://a?db=1", "no database but 0"),
        ("redis+sentinel://a", "it names no service"),
        ("redis+sentinel://a/main/x", "its database is no number"),
        ("redis+sentinel://a/main/1?db=1", "it names no service"),
        ("redis+cluster://a?retry=3", "option that is not known"),
        ("redis+cluster://a?ssl_certfile=/c.pem", "for TLS, and which asks for none"),
        ("redis://a?ssl_ca_certs=/c.pem", "For TLS, it begins with rediss://"),
        (f"redis+cluster://{','.join('a' * 33)}", "more than 32 hosts"),
        ("unix+cluster:///a", "unknown kind"),
        ("http+cluster://a", "unknown kind"),
    ],
)
def test_unfit_url_is_refused_in_words(url: str, words: str) -> None:
    """The error says what is wrong with it."""
    with pytest.raises(StoreUnavailableError, match=words):
        refuse_unfit_url(url)


@pytest.mark.parametrize("scheme", ["redis+cluster", "rediss+sentinel"])
def test_password_of_a_group_is_never_shown(scheme: str) -> None:
    """Neither in messages, nor in a town's file."""
    url = f"{scheme}://ann:secret@a:1,b:2/main"
    assert shown_url(url) == f"{scheme}://a:1,b:2/main"
    assert split_password(url) == (f"{scheme}://ann@a:1,b:2/main", "secret")
    with pytest.raises(StoreUnavailableError) as refused:
        refuse_unfit_url(f"{url}?secret=1")
    assert "secret@" not in str(refused.value)
