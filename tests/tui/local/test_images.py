"""The image map: data for the runner, with programs of one environment."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path

import yaml

from kagent_api.names import ENGINE_IMAGE, OPERATOR_IMAGE
from kagent_tui.local.demo import sample_manifests
from kagent_tui.local.images import image_map, write_image_map
from kagent_tui.local.models import choose_model


def test_our_own_images_are_our_own_programs() -> None:
    rules = image_map(Path("/opt/venv/bin"))["rules"]
    entry = {rule["image"]: rule.get("entrypoint") for rule in rules}
    for image, program in ((ENGINE_IMAGE, "kagent-engine"), (OPERATOR_IMAGE, "kagent-operator")):
        match = next(pattern for pattern in entry if fnmatch(image, pattern))
        assert entry[match] == [f"/opt/venv/bin/{program}"]


def test_every_sample_image_has_a_rule() -> None:
    patterns = [rule["image"] for rule in image_map()["rules"]]
    text = json.dumps(sample_manifests(choose_model("scripted", "kagent", {})))
    images = {value for key, value in _pairs(json.loads(text)) if key == "image"}
    assert images
    for image in images:
        assert any(fnmatch(image, pattern) for pattern in patterns), image


def test_the_written_map_is_json_for_the_runner(tmp_path: Path) -> None:
    path = write_image_map(tmp_path / "images.json")
    assert yaml.safe_load(path.read_text()) == image_map()


def _pairs(value: object) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        found: list[tuple[str, str]] = []
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]  # any JSON
            found += [(str(key), inner)] if isinstance(inner, str) else _pairs(inner)  # pyright: ignore[reportUnknownArgumentType]
        return found
    if isinstance(value, list):
        return [pair for each in value for pair in _pairs(each)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return []
