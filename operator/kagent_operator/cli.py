"""``kagent-operator``: run, crds, manifests, translate. Heavy imports wait for their command.

Exit codes: 0 done, 1 failed (one line says why), 64 the command line is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final, NoReturn, cast

from kagent_api.errors import KagentError
from kagent_api.names import CONTROLLER_NAMESPACE, DEFAULT_MODEL_CONFIG, ENGINE_IMAGE, OPERATOR_IMAGE, VERSION

__all__ = ["main"]

_USAGE: Final = 64
# kmcp 0.3.0's default, which the local cluster's image map knows as well.
ADAPTER_IMAGE: Final = "ghcr.io/agentgateway/agentgateway:0.9.0-musl"
# The first two are words for the same mode: the design's and upstream's.
_AUTH_NAMES: Final = ("none", "unsecure", "trusted-proxy", "kubernetes")
_PROFILES: Final = ("kagent-tui", "upstream")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        match arguments.command:
            case "run":
                return _run(arguments)
            case "crds":
                from kagent_api.crds import crds_yaml

                sys.stdout.write(crds_yaml())
                return 0
            case "manifests":
                return _manifests(arguments)
            case _:
                return _translate(arguments)
    except BrokenPipeError:
        # The reader (head, a pager) has seen enough; nothing more may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KagentError, OSError) as error:
        sys.stderr.write(f"kagent-operator {arguments.command}: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kagent-operator", description="The controller of kagent: Agents, models and MCP servers.")
    parser.add_argument("--version", action="version", version=f"kagent-operator {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    _add_run(commands.add_parser("run", help="reconcile resources and serve the HTTP API"))
    commands.add_parser("crds", help="print every CustomResourceDefinition as YAML")
    _add_manifests(commands.add_parser("manifests", help="print what installs the operator, as YAML"))
    _add_translate(commands.add_parser("translate", help="print what manifests become, without a cluster"))
    return parser


def _env(flag: str, default: str = "") -> str:
    """Return a flag's default: its environment variable (upper case, ``_`` for ``-``), as in upstream's controller."""
    return os.environ.get(flag.lstrip("-").upper().replace("-", "_"), default)


def _flag(
    parser: argparse.ArgumentParser,
    flag: str,
    default: str,
    help_text: str,
    *,
    choices: Sequence[str] | None = None,
) -> None:
    shown = f"{help_text} (default: {default or 'none'})"
    value = _env(flag, default)
    if choices is not None:
        value = value.lower()  # LOG_LEVEL=INFO is what most charts set
    if choices is not None and value not in choices:
        # argparse checks the command line only, not defaults.
        _wrong_usage(f"{flag} from the environment: {value!r} is none of {', '.join(choices)}")
    parser.add_argument(flag, default=value, help=shown, choices=choices)


def _add_translation(parser: argparse.ArgumentParser) -> None:
    _flag(parser, "--engine", "kagent-tui", "engine profile", choices=_PROFILES)
    _flag(parser, "--engine-image", ENGINE_IMAGE, "image of profile kagent-tui")
    _flag(parser, "--image-registry", "ghcr.io", "registry of upstream's images")
    _flag(parser, "--image-tag", "", "tag of upstream's images")
    _flag(parser, "--proxy-url", "", "send traffic inside the cluster through this proxy")
    _flag(parser, "--default-service-account-name", "", "ServiceAccount of agents that name none")
    _flag(parser, "--default-model-config-name", DEFAULT_MODEL_CONFIG, "ModelConfig of agents that name none")
    _flag(parser, "--default-agent-pod-labels", "", "labels k=v,... of every agent Pod")
    _flag(parser, "--default-agent-node-selector", "", "node selector k=v,... of every agent Pod")
    _flag(parser, "--default-agent-bind-host", "0.0.0.0", "address agents bind")  # noqa: S104 - a Pod's address
    _flag(parser, "--image-pull-secret", "", "pull Secret of declarative agents")
    _flag(parser, "--transport-adapter-image", ADAPTER_IMAGE, "adapter of stdio servers")
    parser.add_argument(
        "--mcp-egress-plaintext", action="store_true", help="reach https tool servers as http, for meshes"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_translation(parser)
    # Not from the environment by the rule of the others: $KUBECONFIG may be a list of files, $CONTEXT is anybody's.
    parser.add_argument("--kubeconfig", default="", help="kubeconfig; else $KUBECONFIG, ~/.kube/config, in-cluster")
    parser.add_argument("--context", default="", help="context of the kubeconfig")
    _flag(parser, "--watch-namespaces", "", "namespaces a,b to look after; '*' for all; else its own")
    _flag(parser, "--http-address", "0.0.0.0:8083", "where the HTTP API listens")
    _flag(parser, "--health-address", "0.0.0.0:8082", "where health, readiness and metrics listen")
    _flag(parser, "--tool-refresh-interval", "60s", "time between two looks at a tool server")
    parser.add_argument("--leader-elect", action="store_true", help="reconcile only while holding the Lease")
    parser.add_argument("--take-over", action="store_true", help="start although another controller is at work")
    _flag(parser, "--data-dir", "", "folder of the SQLite store; else $KAGENT_TUI_STATE or the XDG state directory")
    _flag(parser, "--database-url", "", "PostgreSQL instead of SQLite")
    _flag(parser, "--auth-mode", "none", "who callers are: none, trusted-proxy or kubernetes", choices=_AUTH_NAMES)
    _flag(parser, "--auth-user-id-claim", "sub", "claim that names the user in mode trusted-proxy")
    _flag(parser, "--a2a-base-url", "", "address that agent cards point to; else where they are asked for")
    _flag(parser, "--log-level", "info", "debug, info, warning or error", choices=("debug", "info", "warning", "error"))
    _flag(parser, "--log-format", "json", "json or text", choices=("json", "text"))


def _add_manifests(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--namespace", default=CONTROLLER_NAMESPACE, help="namespace of the operator")
    parser.add_argument("--image", default=OPERATOR_IMAGE, help="image of the operator")
    parser.add_argument(
        "--watch-namespaces", default="", help="namespaces a,b to look after; '*' for all (a ClusterRole); else its own"
    )
    parser.add_argument("--state", default="emptyDir", help="where sessions lie: emptyDir, claim:NAME or hostPath:PATH")
    parser.add_argument("--engine", choices=_PROFILES, default="", help="engine profile")
    parser.add_argument("--engine-image", default="", help="image of profile kagent-tui")
    parser.add_argument("--auth-mode", choices=_AUTH_NAMES, default="", help="who callers are")
    parser.add_argument("--auth-user-id-claim", default="", help="claim that names the user in mode trusted-proxy")
    parser.add_argument("--replicas", type=int, default=1, help="more than one needs --database-secret")
    parser.add_argument("--database-secret", default="", metavar="NAME[:KEY]", help="Secret with PostgreSQL's URL")
    parser.add_argument("--arg", action="append", default=[], metavar="--FLAG=VALUE", help="one more flag of run")


def _add_translate(parser: argparse.ArgumentParser) -> None:
    _add_translation(parser)
    read_help = "manifests; - reads standard input"
    parser.add_argument("-f", "--filename", action="append", required=True, metavar="FILE|DIR", help=read_help)
    parser.add_argument("-n", "--namespace", default="default", help="namespace of manifests that name none")
    parser.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml")


def _pairs(text: str, flag: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = entry.partition("=")
        if not equals or not key:
            _wrong_usage(f"{flag}: {entry!r} is not of the form key=value")
        pairs[key] = value
    return pairs


def _wrong_usage(message: str) -> NoReturn:
    sys.stderr.write(f"kagent-operator: {message}\n")
    raise SystemExit(_USAGE)


def _settings(arguments: argparse.Namespace) -> object:
    from kagent_operator.translate.settings import UPSTREAM_TAG, Settings

    return Settings(
        profile=arguments.engine,
        engine_image=arguments.engine_image,
        image_registry=arguments.image_registry,
        image_tag=arguments.image_tag or UPSTREAM_TAG,
        image_pull_secret=arguments.image_pull_secret,
        proxy_url=arguments.proxy_url,
        mcp_egress_plaintext=arguments.mcp_egress_plaintext,
        default_service_account=arguments.default_service_account_name,
        default_model_config=arguments.default_model_config_name,
        default_pod_labels=_pairs(arguments.default_agent_pod_labels, "--default-agent-pod-labels"),
        default_node_selector=_pairs(arguments.default_agent_node_selector, "--default-agent-node-selector"),
        bind_host=arguments.default_agent_bind_host,
        adapter_image=arguments.transport_adapter_image,
        controller_name=os.environ.get("KAGENT_CONTROLLER_NAME", "kagent-controller"),
        controller_namespace=os.environ.get("KAGENT_NAMESPACE", CONTROLLER_NAMESPACE),
        ui_url=os.environ.get("KAGENT_UI_URL", ""),
        mcp_app_protocol=os.environ.get("DISABLE_KGATEWAY_MCP_APP_PROTOCOL", "") != "true",
        otel_env=tuple(sorted((key, value) for key, value in os.environ.items() if key.startswith("OTEL_"))),
    )


def _run(arguments: argparse.Namespace) -> int:
    # httpx brings its own command line along, which costs 6 MB where rich and pygments are installed; it does without.
    sys.modules.setdefault("httpx._main", cast(ModuleType, None))

    import asyncio

    from kagent_operator.logs import configure_logs
    from kagent_operator.run import Options, parse_address, run
    from kagent_operator.translate.durations import seconds

    configure_logs(arguments.log_level, arguments.log_format)
    try:
        http, health = parse_address(arguments.http_address), parse_address(arguments.health_address)
        interval = seconds(arguments.tool_refresh_interval)
    except ValueError as error:
        _wrong_usage(str(error))
    watched: list[str] | None = [part for part in arguments.watch_namespaces.split(",") if part] or None
    options = Options(
        settings=_settings(arguments),  # type: ignore[arg-type]
        watch_namespaces=[] if watched == ["*"] else watched,
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        http_address=http,
        health_address=health,
        refresh_interval=max(interval, 1.0),
        auth_mode="none" if arguments.auth_mode == "unsecure" else arguments.auth_mode,
        user_id_claim=arguments.auth_user_id_claim,
        a2a_base_url=arguments.a2a_base_url,
        leader_elect=arguments.leader_elect,
        take_over=arguments.take_over,
        database_url=arguments.database_url,
        data_dir=Path(arguments.data_dir) if arguments.data_dir else None,
    )
    try:
        asyncio.run(run(options))
    except ExceptionGroup as group:
        # Task groups wrap what ended them; a fault that is none of ours keeps its traceback.
        expected, other = group.split((KagentError, OSError))
        if expected is None or other is not None:
            raise
        sys.stderr.write(f"kagent-operator run: {_innermost(expected)}\n")
        return 1
    return 0


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _manifests(arguments: argparse.Namespace) -> int:
    from kagent_operator.manifests import Installation, manifests
    from kagent_operator.yaml_text import dump_yaml_documents

    more = [
        f"--{flag.replace('_', '-')}={value}"
        for flag in ("engine", "engine_image", "auth_mode", "auth_user_id_claim")
        if (value := getattr(arguments, flag))
    ]
    installation = Installation(
        namespace=arguments.namespace,
        image=arguments.image,
        watch_namespaces=[part for part in arguments.watch_namespaces.split(",") if part],
        arguments=[*more, *arguments.arg],
        state=arguments.state,
        replicas=arguments.replicas,
        database_secret=arguments.database_secret,
    )
    sys.stdout.write(dump_yaml_documents(manifests(installation)))
    return 0


def _translate(arguments: argparse.Namespace) -> int:
    from kagent_operator.offline import translate_files

    return translate_files(
        arguments.filename,
        settings=_settings(arguments),  # type: ignore[arg-type]
        namespace=arguments.namespace,
        output=arguments.output,
    )
