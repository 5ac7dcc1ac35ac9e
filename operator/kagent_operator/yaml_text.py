"""YAML as every reader understands it: ``y``, ``n``, ``on``, ``off`` quoted, since YAML 1.1 takes them for booleans."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import yaml

__all__ = ["dump_yaml", "dump_yaml_documents"]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write repeated values out: anchors in a manifest surprise people and some readers."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    block = "\n" in value and not value.startswith((" ", "\n")) and " \n" not in value and "\t" not in value
    return cast(Any, dumper).represent_scalar("tag:yaml.org,2002:str", value, style="|" if block else None)  # untyped


# PyYAML reads y and n as text, so it would write them plain; Go and Ruby readers of YAML 1.1 see booleans.
cast(Any, _Dumper).add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:y|Y|n|N)$"), list("yYnN"))
_Dumper.add_representer(str, _text)


def dump_yaml(value: object, *, sort_keys: bool = False) -> str:
    """Return one document."""
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=sort_keys, default_flow_style=False, allow_unicode=True, width=120
    )


def dump_yaml_documents(values: Iterable[object]) -> str:
    """Return several documents, each begun by ``---``."""
    return "".join(f"---\n{dump_yaml(value)}" for value in values)
