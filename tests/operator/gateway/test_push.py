"""Push notification settings in both dialects, held against the conversions of the A2A SDK."""

from __future__ import annotations

from typing import Any, cast

import pytest
from a2a.compat.v0_3 import conversions
from a2a.compat.v0_3 import types as legacy_types
from google.protobuf.json_format import MessageToDict

from kagent_operator.gateway.push import PUSH_METHODS, push_params_to, push_result_to
from kagent_operator.gateway.rpc import Call
from kagent_operator.gateway.translation import Translation

Json = dict[str, Any]
SET, GET, LIST, DELETE = (f"tasks/pushNotificationConfig/{verb}" for verb in ("set", "get", "list", "delete"))
LEGACY: Json = {
    "taskId": "t",
    "pushNotificationConfig": {
        "id": "c", "url": "http://hook", "token": "secret",
        "authentication": {"schemes": ["Bearer"], "credentials": "x"},
    },
}  # fmt: skip
CURRENT: Json = {
    "taskId": "t", "id": "c", "url": "http://hook", "token": "secret",
    "authentication": {"scheme": "Bearer", "credentials": "x"},
}  # fmt: skip


def test_a_configuration_is_what_the_sdk_makes_of_it() -> None:
    made = conversions.to_core_task_push_notification_config(
        legacy_types.TaskPushNotificationConfig.model_validate(LEGACY)
    )
    assert MessageToDict(made) == CURRENT
    assert push_params_to("1.0", SET, LEGACY) == CURRENT
    assert push_params_to("0.3", SET, CURRENT) == LEGACY
    assert push_result_to("0.3", GET, CURRENT) == LEGACY
    assert push_result_to("1.0", GET, LEGACY) == CURRENT


def test_asking_and_deleting_name_the_task_as_each_dialect_does() -> None:
    assert push_params_to("1.0", GET, {"id": "t", "pushNotificationConfigId": "c"}) == {"taskId": "t", "id": "c"}
    assert push_params_to("0.3", DELETE, {"taskId": "t", "id": "c"}) == {"id": "t", "pushNotificationConfigId": "c"}
    assert push_params_to("1.0", LIST, {"id": "t"}) == {"taskId": "t"}
    assert push_params_to("0.3", LIST, {"taskId": "t"}) == {"id": "t"}
    assert push_result_to("0.3", LIST, {"configs": [CURRENT]}) == [LEGACY]
    assert push_result_to("1.0", LIST, [LEGACY]) == {"configs": [CURRENT]}
    assert push_result_to("0.3", DELETE, {}) is None
    assert push_result_to("1.0", DELETE, None) == {}


@pytest.mark.parametrize("odd", [None, 5, "x", [5, None], {}, {"configs": 5}, {"authentication": {"schemes": 5}}])
@pytest.mark.parametrize("method", sorted(PUSH_METHODS))
@pytest.mark.parametrize("dialect", ["0.3", "1.0"])
def test_odd_shapes_do_no_harm(dialect: str, method: str, odd: Any) -> None:
    push_result_to(dialect, method, odd)
    if isinstance(odd, dict):
        push_params_to(dialect, method, cast("Json", odd))


def test_a_caller_of_1_0_sets_up_notifications_with_an_agent_of_0_3() -> None:
    translation = Translation.of(Call(1, "CreateTaskPushNotificationConfig", CURRENT, "1.0"))
    assert translation is not None
    assert b'"method": "tasks/pushNotificationConfig/set"' in translation.request()
    reply = translation.reply(b'{"jsonrpc": "2.0", "id": 1, "result": {"taskId": "t", "pushNotificationConfig": '
                              b'{"id": "c", "url": "http://hook"}}}')  # fmt: skip
    assert b'"result": {"taskId": "t", "id": "c", "url": "http://hook"}' in reply
