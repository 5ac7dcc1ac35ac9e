"""What the gateway is told at its start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kagent_api.names import AGENT_PORT, CONTROLLER_NAMESPACE, DEFAULT_MODEL_CONFIG, VERSION

__all__ = ["AuthMode", "GatewaySettings"]

AuthMode = Literal["none", "trusted-proxy", "kubernetes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Times in seconds, sizes in bytes."""

    namespace: str = CONTROLLER_NAMESPACE
    """The operator's own: where resources made over the API go when they name none."""

    watch_namespaces: tuple[str, ...] = ()
    """Empty: all."""

    a2a_base_url: str = ""
    """What agent cards point to; empty: the address the card was asked at."""

    default_model_config: str = DEFAULT_MODEL_CONFIG
    auth_mode: AuthMode = "none"
    user_id_claim: str = "sub"

    agent_address: str = "http://{name}.{namespace}:" + str(AGENT_PORT)
    """Where an agent's Service answers, by cluster name."""

    connect_timeout: float = 10.0
    max_body: int = 32 * 1024 * 1024
    """Three times what upstream's engine takes by default, so that the engine's own limit is the one people meet."""

    version: str = VERSION
    git_commit: str = ""
    build_date: str = ""
