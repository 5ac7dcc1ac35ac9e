"""What the operator's flags say about translation. One immutable value, given to every translation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from kagent_api.names import (
    CONTROLLER_NAME,
    CONTROLLER_NAMESPACE,
    CONTROLLER_PORT,
    DEFAULT_MODEL_CONFIG,
    ENGINE_ANNOTATION,
    ENGINE_IMAGE,
)
from kagent_operator.translate.fields import JsonObject, text

__all__ = ["HEADERS_DIRECTORY", "PROFILES", "UPSTREAM_TAG", "Profile", "Settings", "profile_of"]

Profile = Literal["kagent-tui", "upstream"]
PROFILES: Final[tuple[Profile, ...]] = ("kagent-tui", "upstream")

# The newest release of upstream's line that this operator was compared with.
UPSTREAM_TAG: Final = "0.10.4"
HEADERS_DIRECTORY: Final = "/etc/kagent/headers"


def _no_strings() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Flags of the operator; the defaults are those of a plain installation."""

    profile: Profile = "kagent-tui"
    controller_name: str = CONTROLLER_NAME
    controller_namespace: str = CONTROLLER_NAMESPACE
    controller_port: int = CONTROLLER_PORT
    ui_url: str = ""
    default_model_config: str = DEFAULT_MODEL_CONFIG
    default_service_account: str = ""
    default_pod_labels: Mapping[str, str] = field(default_factory=_no_strings)
    default_node_selector: Mapping[str, str] = field(default_factory=_no_strings)
    bind_host: str = "0.0.0.0"  # noqa: S104 - an agent serves its Pod's address
    proxy_url: str = ""
    mcp_egress_plaintext: bool = False
    engine_image: str = ENGINE_IMAGE
    image_registry: str = "ghcr.io"
    python_repository: str = "kagent-dev/kagent/app"
    go_repository: str = "kagent-dev/kagent/golang-adk"
    skills_repository: str = "kagent-dev/kagent/skills-init"
    image_tag: str = UPSTREAM_TAG
    image_pull_policy: str = ""
    image_pull_secret: str = ""
    adapter_image: str = "ghcr.io/agentgateway/agentgateway:0.9.0-musl"
    mcp_app_protocol: bool = True
    otel_env: tuple[tuple[str, str], ...] = ()

    @property
    def controller_url(self) -> str:
        """Where agents reach the HTTP API."""
        return f"http://{self.controller_name}.{self.controller_namespace}:{self.controller_port}"


def profile_of(obj: JsonObject, settings: Settings) -> Profile:
    """Return the engine profile of one resource: its annotation, else the operator's flag."""
    wanted = text(obj, "metadata", "annotations", ENGINE_ANNOTATION)
    for profile in PROFILES:
        if profile == wanted:
            return profile
    return settings.profile
