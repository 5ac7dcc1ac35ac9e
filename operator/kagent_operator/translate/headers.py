"""Headers of tool servers and agents: where each value comes from decides how it reaches the engine.

Profile upstream writes every value into config.json. Profile kagent-tui writes those that come from a Secret as
``${file:...}`` references and puts the values under keys of their own into the agent's Secret, so that a token is not
in the configuration and a rotated one needs no rollout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kagent_api.errors import ObjectRef
from kagent_operator.translate.fields import JsonObject, rows, section, text
from kagent_operator.translate.prompt import value_from
from kagent_operator.translate.settings import HEADERS_DIRECTORY, Profile
from kagent_operator.translate.world import World

__all__ = ["HEADER_KEY_PREFIX", "HeaderWriter"]

# Keys of the agent's Secret that hold header values; mounted apart from config.json.
HEADER_KEY_PREFIX = "header."
_NOT_IN_KEYS = re.compile(r"[^-._a-zA-Z0-9]")


@dataclass
class HeaderWriter:
    """Collects the headers of one agent; ``files`` is what the agent's Secret must hold, by file name."""

    world: World
    profile: Profile
    files: dict[str, str] = field(default_factory=dict[str, str])

    def resolve(self, source: JsonObject, namespace: str, *, owner: ObjectRef, server: str) -> dict[str, str]:
        """Return the headersFrom of a tool or a server, values read in ``namespace``.

        ``server`` names the target, so that files of two servers never share a name. Raises MissingReference.
        """
        headers: dict[str, str] = {}
        for index, entry in enumerate(rows(source, "headersFrom")):
            name, reference = text(entry, "name"), section(entry, "valueFrom")
            value = text(entry, "value")
            if value or reference is None:
                headers[name] = value
                continue
            value = value_from(self.world, namespace, reference, owner=owner, field=f"headersFrom[{index}].valueFrom")
            secret = text(reference, "type") == "Secret" and self.profile == "kagent-tui"
            headers[name] = self._file(server, name, value) if secret else value
        return headers

    def _file(self, server: str, header: str, value: str) -> str:
        wanted = _NOT_IN_KEYS.sub("-", f"{server}.{header}")[:200]
        name, number = wanted, 1
        while self.files.get(name, value) != value:
            number += 1
            name = f"{wanted}-{number}"
        self.files[name] = value
        # kagent_api.engine_config.HeaderFile is how the engine reads it; importing that would load pydantic.
        return f"${{file:{HEADERS_DIRECTORY}/{name}}}"
