"""Push notification settings of A2A 0.3 and 1.0 as JSON, one turned into the other.

0.3 wraps a task's configuration in an object of its own and names the task ``id`` when it asks; 1.0 is flat and names
it ``taskId``. Pure functions; what is of no known shape stays as it is.
"""

from __future__ import annotations

from typing import Any, Final, cast

from kagent_api.kube.resources import JsonObject

__all__ = ["PUSH_METHODS", "push_config_to", "push_params_to", "push_result_to"]

_PREFIX: Final = "tasks/pushNotificationConfig/"
_SET: Final = f"{_PREFIX}set"
_LIST: Final = f"{_PREFIX}list"
_DELETE: Final = f"{_PREFIX}delete"
PUSH_METHODS: Final = frozenset({_SET, f"{_PREFIX}get", _LIST, _DELETE})
_FIELDS: Final = ("id", "url", "token", "authentication")


def push_config_to(dialect: str, config: JsonObject) -> JsonObject:
    """Return a configuration without its task: only how it proves who sends differs."""
    given = config.get("authentication")
    if not isinstance(given, dict):
        return config
    how = dict(cast("JsonObject", given))
    if dialect == "1.0" and "schemes" in how:
        schemes: Any = how.pop("schemes")
        how["scheme"] = str(cast("list[Any]", schemes)[0]) if isinstance(schemes, list) and schemes else ""
    elif dialect == "0.3" and "scheme" in how:
        how["schemes"] = [how.pop("scheme")]
    return config | {"authentication": how}


def push_params_to(dialect: str, method: str, params: JsonObject) -> JsonObject:
    """Return the parameters of one of these calls, named as 0.3 names it, in a dialect."""
    if method == _SET:
        return _task_config_to(dialect, params)
    if dialect == "1.0":
        task, config = params.get("id"), params.get("pushNotificationConfigId")
        if method == _LIST:
            return {"taskId": task}
        # 0.3 may leave the configuration's id out: its name is then the task's.
        return {"taskId": task, "id": config or task}
    task, config = params.get("taskId"), params.get("id")
    return {"id": task} if method == _LIST else {"id": task, "pushNotificationConfigId": config}


def push_result_to(dialect: str, method: str, result: Any) -> Any:
    """Return the result of one of these calls in a dialect."""
    if method == _DELETE:
        return None if dialect == "0.3" else {}
    if method != _LIST:
        return _task_config_to(dialect, cast("JsonObject", result)) if isinstance(result, dict) else result
    listed: Any = cast("JsonObject", result).get("configs") or [] if isinstance(result, dict) else result
    if not isinstance(listed, list):
        return cast("Any", result)
    configs = [
        _task_config_to(dialect, cast("JsonObject", config))
        for config in cast("list[Any]", listed)
        if isinstance(config, dict)
    ]
    return configs if dialect == "0.3" else {"configs": configs}


def _task_config_to(dialect: str, given: JsonObject) -> JsonObject:
    wrapped = given.get("pushNotificationConfig")
    if dialect == "1.0":
        inner = cast("JsonObject", wrapped) if isinstance(wrapped, dict) else given
        flat = {key: inner[key] for key in _FIELDS if inner.get(key) is not None}
        return {"taskId": given.get("taskId")} | push_config_to(dialect, flat)
    if isinstance(wrapped, dict):
        return given
    inner = {key: given[key] for key in _FIELDS if given.get(key)}
    return {"taskId": given.get("taskId"), "pushNotificationConfig": push_config_to(dialect, inner)}
