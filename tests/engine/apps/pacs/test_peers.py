"""Who may send, and who gets the results."""

from __future__ import annotations

import pytest

from flare_trt.engine.apps.pacs.peers import Archive, Door, Sender
from flare_trt.engine.base.errors import ServiceError


def test_without_a_list_everybody_on_this_machine_may_send() -> None:
    assert Door().lets_in("ANY", "127.0.0.1")
    with pytest.raises(ServiceError, match="other machines could reach the worker, expected those that may send"):
        Door(host="0.0.0.0")  # noqa: S104  # is refused
    with pytest.raises(ServiceError, match="other machines"):
        Door(host="192.0.2.1", senders=(Sender("CT1"),))  # a title alone is no proof


@pytest.mark.parametrize(
    ("title", "address", "may"),
    [
        ("CT1", "10.1.2.3", True),
        ("CT1", "10.1.2.4", False),
        ("CT1", "::ffff:10.1.2.3", True),
        ("PACS", "10.2.255.1", True),
        ("PACS", "10.3.0.1", False),
        ("SIX", "2001:db8::5", True),
        ("CT2", "10.1.2.3", False),
        ("ct1", "10.1.2.3", False),
    ],
)
def test_title_and_address_have_to_be_those_of_one_sender(title: str, address: str, may: bool) -> None:
    senders = tuple(map(Sender.parsed, ("CT1@10.1.2.3", "PACS@10.2.0.0/16", "SIX@2001:db8::/64")))
    assert Door(host="10.0.0.1", senders=senders).lets_in(title, address) is may


@pytest.mark.parametrize("words", ["", "@10.1.2.3", "CT1@", "CT1@host", "CT1@10.1.2.3/8", "A TITLE", "SEVENTEENLETTERSX", "CT\\1"])
def test_senders_that_are_none(words: str) -> None:
    with pytest.raises(ServiceError, match="expected"):
        Sender.parsed(words)


def test_archives() -> None:
    assert Archive.parsed("ORTHANC@pacs.example.org:4242") == Archive("ORTHANC", "pacs.example.org", 4242)
    assert Archive.parsed("A@[::1]:104") == Archive("A", "::1", 104)
    for words in ("ORTHANC", "ORTHANC@host", "@host:104", "A B@host:104", "A@host:0", "A@host:70000"):
        with pytest.raises(ServiceError, match="expected AET@HOST:PORT"):
            Archive.parsed(words)
