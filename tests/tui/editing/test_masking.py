"""No text that is shown, kept or handed to an editor holds a Secret's value, also not by way of kubectl's copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kagent_api.errors import InvalidSpec, ObjectRef
from kagent_tui.cli.printout import Objects, print_objects
from kagent_tui.editing.document import to_yaml
from kagent_tui.editing.drafts import DraftStore
from kagent_tui.editing.masking import masked, unmasked

COPY = "kubectl.kubernetes.io/last-applied-configuration"
VALUE = "c2stdGlwLXRvcA=="
PLAIN = "sk-tip-top"


def secret(**annotations: str) -> dict[str, Any]:
    copied = {"kind": "Secret", "data": {"key": VALUE}, "stringData": {"key": PLAIN}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "model-key",
            "namespace": "kagent",
            "annotations": {COPY: json.dumps(copied), **annotations},
        },
        "data": {"key": VALUE},
    }


def test_values_and_kubectls_copy_of_them_are_not_in_the_text() -> None:
    text = to_yaml(masked(secret(owner="me")))
    assert VALUE not in text
    assert PLAIN not in text
    assert "<hidden value of key>" in text
    assert "owner: me" in text
    assert "annotations" not in masked(secret())["metadata"]


def test_what_the_text_left_out_is_not_deleted_from_the_cluster() -> None:
    original = secret(owner="me")
    assert unmasked(masked(original), original) == original


def test_a_changed_annotation_is_sent_beside_the_copy() -> None:
    original = secret(owner="me")
    edited = masked(original)
    edited["metadata"]["annotations"]["owner"] = "you"
    assert unmasked(edited, original)["metadata"]["annotations"] == {
        COPY: original["metadata"]["annotations"][COPY],
        "owner": "you",
    }


def test_a_placeholder_without_its_value_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="not known any more"):
        unmasked(masked(secret()), None)


def test_other_kinds_keep_their_annotation() -> None:
    agent = {"kind": "Agent", "metadata": {"name": "a", "annotations": {COPY: "{}"}}}
    assert masked(agent) is agent


@pytest.mark.parametrize("form", ["yaml", "json", "table"])
def test_no_format_of_get_prints_a_value(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_objects([secret()], form, world=Objects(), now=0.0, single=True, namespaces=True)
    printed = capsys.readouterr().out
    assert "model-key" in printed
    assert VALUE not in printed
    assert PLAIN not in printed


def test_a_draft_on_disk_holds_no_value(tmp_path: Path) -> None:
    drafts = DraftStore(tmp_path)
    base = to_yaml(masked(secret()))
    assert drafts.save("test", ObjectRef("Secret", "kagent", "model-key"), to_yaml(secret()), base)
    written = "".join(file.read_text() for file in tmp_path.iterdir())
    assert VALUE not in written
    assert PLAIN not in written
