"""Who makes a request."""

from __future__ import annotations

from dataclasses import dataclass, field

from kagent_localcluster.seams import JsonObject

__all__ = ["ANONYMOUS", "MASTERS", "User"]

MASTERS = "system:masters"


@dataclass(frozen=True)
class User:
    """An authenticated (or anonymous) user, as authentication.k8s.io's UserInfo."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())

    @property
    def is_master(self) -> bool:
        return MASTERS in self.groups

    def info(self) -> JsonObject:
        """Return the UserInfo object."""
        info: JsonObject = {"username": self.name, "groups": list(self.groups)}
        if self.uid:
            info["uid"] = self.uid
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra}
        return info


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
