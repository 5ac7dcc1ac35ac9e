"""The connection's state in one word."""

from __future__ import annotations

from kagent_api.kube import Forbidden, LinkState, NotFound, Unauthorized, Unreachable
from kagent_tui.cluster.errors import explain
from kagent_tui.cluster.link import summarise

LIVE = LinkState("live", None, 50.0)


def test_one_lost_collection_makes_the_link_lost() -> None:
    lost = LinkState("lost", Unreachable("refused"), 40.0)
    link = summarise({"a": LIVE, "b": lost}, ["a", "b"])
    assert (link.status, link.last_event) == ("lost", 50.0)


def test_a_refused_collection_does_not_hide_a_live_one() -> None:
    refused = LinkState("refused", Forbidden("no", status=403), 40.0)
    assert summarise({"a": LIVE, "b": refused}, ["a", "b"]).status == "live"
    assert summarise({"b": refused}, ["b"]).status == "refused"


def test_expired_credentials_are_told_before_anything_else() -> None:
    expired = LinkState("refused", Unauthorized("token expired", status=401), 40.0)
    assert summarise({"a": LIVE, "b": expired}, ["a", "b"]).status == "expired"


def test_collections_that_are_not_essential_do_not_matter() -> None:
    refused = LinkState("refused", Forbidden("no", status=403), 40.0)
    assert summarise({"a": LIVE, "extra": refused}, ["a"]).status == "live"
    assert summarise({}, ["a"]).status == "connecting"


def test_every_refusal_is_told_with_a_remedy() -> None:
    told = explain(NotFound("no such kind", status=404), kind="Agent")
    assert "no kagent CRDs" in told.message
    assert "kagent-operator crds" in told.remedy
    told = explain(Forbidden("User x cannot list", status=403), kind="ModelConfig", namespace="team-a")
    assert "modelconfigs.kagent.dev in namespace team-a" in told.message
    assert ":ns" in told.remedy
    assert "log in" in explain(Unauthorized("expired", status=401)).remedy
    assert "kagent-tui demo" in explain(Unreachable("connection refused"), server="https://x:6443").remedy
