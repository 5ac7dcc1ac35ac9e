"""YAML as every reader understands it, written as Go's own writer does.

Text that a reader of YAML 1.1 or 1.2 may take for something else (``on``, ``1e3``, ``0o7``) is in double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, cast

import yaml

__all__ = ["dump_yaml", "dump_yaml_documents"]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write repeated values out: anchors in a manifest surprise people and some readers."""
        return True


# What Go's reader takes for a boolean, null, number, time or base-60 number.
_NO_TEXT: Final = re.compile(
    r"""(?x:
    y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|~|null|Null|NULL|
    |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)
    |[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+)
    |[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?
    |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\ ].*)?
    )"""
)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    block = "\n" in value and not value.startswith((" ", "\n")) and " \n" not in value and "\t" not in value
    style = "|" if block else '"' if _NO_TEXT.fullmatch(value) else None
    return cast(Any, dumper).represent_scalar("tag:yaml.org,2002:str", value, style=style)  # untyped


_Dumper.add_representer(str, _text)


def dump_yaml(value: object, *, sort_keys: bool = False, width: int = 120) -> str:
    """Return one document."""
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=sort_keys, default_flow_style=False, allow_unicode=True, width=width
    )


def dump_yaml_documents(values: Iterable[object]) -> str:
    """Return several documents, each begun by ``---``."""
    return "".join(f"---\n{dump_yaml(value)}" for value in values)
