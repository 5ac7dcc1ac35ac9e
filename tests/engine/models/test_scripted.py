from __future__ import annotations

import json
from typing import Any

import pytest

from kagent_engine.models.scripted import Reply, reply_to
from kagent_engine.models.scripted_arguments import arguments_for, zones_in

Json = dict[str, Any]


def tool(name: str, description: str = "", required: tuple[str, ...] = (), /, **properties: Json) -> Json:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TEXT: Json = {"type": "string"}
ZONE: Json = {"type": "string", "description": "IANA timezone name (e.g., 'America/New_York', 'Europe/London')"}
# As mcp-server-time offers them.
NOW = tool("get_current_time", "Get current time in a specific timezone", ("timezone",), timezone=ZONE)
CONVERT = tool(
    "convert_time", "Convert time between timezones", ("source_timezone", "time", "target_timezone"),
    source_timezone=ZONE, time={"type": "string", "description": "In 24-hour format (HH:MM)"}, target_timezone=ZONE,
)  # fmt: skip
TIME = [NOW, CONVERT]
OPTIONAL: Json = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
# As kubectl-mcp-server offers them, shortened.
GET = tool(
    "kubectl_get", "List or get any Kubernetes resource, including custom resources (kubectl get).", ("resource_type",),
    resource_type={"type": "string", "description": "Kind or short name, e.g. pods, deploy, svc, nodes, events"},
    namespace={**OPTIONAL, "description": "Namespace (omit for the default)"},
    output={"type": "string", "default": "table"},
)  # fmt: skip
DESCRIBE = tool(
    "kubectl_describe", "Describe a Kubernetes resource in detail.", ("resource_type", "name"),
    resource_type={"type": "string", "description": "Type of resource (e.g., pod, deployment, service)"}, name=TEXT,
)  # fmt: skip
TIME_AGENT = tool("kagent__NS__time_agent", "Tells the current time anywhere.", ("request",), request=TEXT)
DOCTOR = tool("kagent__NS__cluster_doctor", "Looks into pods and deployments.", ("request",), request=TEXT)


def user(text: str) -> Json:
    return {"role": "user", "content": text}


def asked(prompt: str, tools: list[Json]) -> list[tuple[str, Json]]:
    return [(call.name, call.arguments) for call in reply_to([user(prompt)], tools).calls]


def answered(reply: Reply, *results: str) -> list[Json]:
    """Return what an engine sends back after ``reply``'s calls."""
    calls = [
        {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments)}}
        for c in reply.calls
    ]
    spoken: Json = {"role": "assistant", "content": None, "tool_calls": calls}
    pairs = zip(reply.calls, results, strict=True)
    return [spoken, *({"role": "tool", "tool_call_id": call.id, "content": result} for call, result in pairs)]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("What time is it in Tokyo?", [("get_current_time", {"timezone": "Asia/Tokyo"})]),
        ("time in new york please", [("get_current_time", {"timezone": "America/New_York"})]),
        ("What is the time in Tokyo and Paris?",
         [("get_current_time", {"timezone": "Asia/Tokyo"}), ("get_current_time", {"timezone": "Europe/Paris"})]),
        ("Convert 9:15 from Asia/Kolkata to UTC",
         [("convert_time", {"source_timezone": "Asia/Kolkata", "time": "09:15", "target_timezone": "UTC"})]),
        ("What time is it?", [("get_current_time", {"timezone": "UTC"})]),
        ("Tell me a joke", []),
    ],
)  # fmt: skip
def test_the_time_servers_tools_are_called_as_a_person_would(prompt: str, expected: list[tuple[str, Json]]) -> None:
    assert asked(prompt, TIME) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Which pods run in namespace kagent?", [("kubectl_get", {"resource_type": "pods", "namespace": "kagent"})]),
        ("List the deployments in the kagent namespace",
         [("kubectl_get", {"resource_type": "deployments", "namespace": "kagent"})]),
        ("Describe the pod web-1", [("kubectl_describe", {"resource_type": "pod", "name": "web-1"})]),
        ("Show me the Kubernetes events", [("kubectl_get", {"resource_type": "events"})]),
    ],
)  # fmt: skip
def test_kubernetes_tools_are_called_with_kind_and_namespace(prompt: str, expected: list[tuple[str, Json]]) -> None:
    assert asked(prompt, [GET, DESCRIBE]) == expected


def test_each_clause_goes_to_the_agent_that_it_names() -> None:
    agents = [TIME_AGENT, DOCTOR]
    assert asked("What time is it in Tokyo and which pods run in kagent?", agents) == [
        ("kagent__NS__time_agent", {"request": "What time is it in Tokyo"}),
        ("kagent__NS__cluster_doctor", {"request": "which pods run in kagent?"}),
    ]
    whole = "How late is it? I need the time in Tokyo."
    assert asked(whole, agents) == [("kagent__NS__time_agent", {"request": whole})]
    assert asked("kagent is nice", agents) == [], "the namespace in an agent's tool name is no word of it"


def test_a_word_of_the_name_weighs_more_than_words_of_the_description() -> None:
    tools = [tool("search_notes", "Finds text"), tool("write_text", "Writes notes")]
    assert asked("notes", tools) == [("search_notes", {})]


def test_tools_that_fit_equally_well_are_called_together() -> None:
    tools = [tool("red_note", "", (), text=TEXT), tool("blue_note", "", (), text=TEXT)]
    assert asked("a note", tools) == [("red_note", {}), ("blue_note", {})]


def test_short_words_and_stop_words_call_nothing() -> None:
    tools = [tool("get_pod", "Please show what this tool will list with your request")]
    assert asked("Please show this with the pod", tools) == []


def test_words_after_then_are_a_round_of_their_own_and_no_call_is_made_twice() -> None:
    messages = [user("time in Tokyo, then the time in Paris, then the time in Tokyo")]
    first = reply_to(messages, TIME)
    messages += answered(first, "10:00")
    second = reply_to(messages, TIME)
    assert [call.arguments for reply in (first, second) for call in reply.calls] == [
        {"timezone": "Asia/Tokyo"}, {"timezone": "Europe/Paris"},
    ]  # fmt: skip
    messages += answered(second, "02:00")
    last = reply_to(messages, TIME)
    assert last.calls == ()
    assert "10:00" in last.text
    assert "02:00" in last.text


def test_a_new_question_of_the_session_is_answered_anew() -> None:
    messages = [user("time in Tokyo")]
    first = reply_to(messages, TIME)
    messages += [*answered(first, "10:00"), {"role": "assistant", "content": "It is ten."}, user("time in Tokyo")]
    again = reply_to(messages, TIME)
    assert [call.name for call in again.calls] == ["get_current_time"]
    assert again.calls[0].id != first.calls[0].id, "ids are never used twice in a session"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("It is ten.", "get_current_time answered:\n\nIt is ten."),
        ('{"timezone": "Asia/Tokyo", "is_dst": false}',
         "get_current_time answered:\n\n- timezone: Asia/Tokyo\n- is_dst: false"),
        ('["a", {"b": 1}]', 'get_current_time answered:\n\n- a\n- {"b": 1}'),
        ('{"content": [{"type": "text", "text": "{\\"x\\": 1}"}], "isError": false}',
         "get_current_time answered:\n\n- x: 1"),
        ('{"result": "plain"}', "get_current_time answered:\n\nplain"),
        ("Error executing tool: no zone", "The tool get_current_time reported an error: Error executing tool: no zone"),
        ('{"content": [{"type": "text", "text": "no zone"}], "isError": true}',
         "The tool get_current_time reported an error: no zone"),
        ('{"error": "no zone"}', "The tool get_current_time reported an error: no zone"),
    ],
)  # fmt: skip
def test_results_are_quoted_readably_and_errors_called_errors(result: str, text: str) -> None:
    messages = [user("time in Tokyo")]
    first = reply_to(messages, TIME)
    assert reply_to([*messages, *answered(first, result)], TIME).text == text


def test_without_a_match_it_says_what_it_is_and_which_instruction_it_follows() -> None:
    def said(instruction: str) -> str:
        return reply_to([{"role": "system", "content": instruction}, user("Hello!")], TIME).text

    text = said("You are a pirate.")
    assert "scripted offline model" in text
    assert "I am following this instruction: You are a pirate." in text
    assert "You wrote: Hello!" in text
    assert "get_current_time, convert_time" in text
    assert "You are a poet." in said("You are a poet."), "an edited instruction is seen at once"


def test_the_same_input_gives_the_same_output() -> None:
    messages = [user("time in Tokyo and Paris")]
    assert reply_to(messages, TIME) == reply_to(messages, TIME)


def test_odd_messages_are_survived() -> None:
    blocks = [{"type": "text", "text": "time in"}, {"type": "image_url"}, {"type": "text", "text": "Tokyo"}]
    assert reply_to([{"role": "user", "content": blocks}], TIME).calls[0].arguments == {"timezone": "Asia/Tokyo"}
    assert reply_to([{"role": "tool", "content": "lost"}, {}], [{}]).text
    assert reply_to([user("")], [{"function": {"name": "x", "parameters": None}}]).text


@pytest.mark.parametrize(
    ("text", "zones"),
    [
        ("in tokyo", ["Asia/Tokyo"]),
        ("New York or Los Angeles?", ["America/New_York", "America/Los_Angeles"]),
        ("Asia/Shanghai, then UTC", ["Asia/Shanghai", "UTC"]),
        ("Argentina/Buenos_Aires or Buenos Aires", ["America/Buenos_Aires"]),
        ("go west to the north", []),
        ("Singapore", ["Singapore"]),
    ],
)
def test_places_name_zones(text: str, zones: list[str]) -> None:
    found = zones_in(text)
    assert [zone.replace("America/Argentina/Buenos_Aires", "America/Buenos_Aires") for zone in found] == zones or (
        zones == ["Singapore"] and found in (["Singapore"], ["Asia/Singapore"])
    )


@pytest.mark.parametrize(
    ("name", "schema", "prompt", "value"),
    [
        ("limit", {"type": "integer"}, "with a limit of 5 please", 5),
        ("count", {"type": "integer"}, "send it 3 times", 3),
        ("ratio", {"type": "number"}, "by 0.5 now", 0.5),
        ("count", {"type": "integer", "minimum": 2}, "send it", 2),
        ("level", {"enum": ["low", "high"]}, "set it to HIGH", "high"),
        ("level", {"enum": ["low", "high"]}, "set it", "low"),
        ("force", {"type": "boolean"}, "force it", True),
        ("force", {"type": "boolean"}, "do it", False),
        ("mode", {"type": "string", "default": "fast"}, "do it", "fast"),
        ("kind", {"const": "note"}, "do it", "note"),
        ("url", TEXT, "open https://example.org/a?b=1, please", "https://example.org/a?b=1"),
        ("query", TEXT, 'look for "red shoes" there', "red shoes"),
        ("query", TEXT, "red shoes", "red shoes"),
        ("request", TEXT, 'say "hi" to Bob', 'say "hi" to Bob'),
        ("title", TEXT, "write 「购物清单」 now", "购物清单"),
        ("file_name", TEXT, "the file name is a.txt", "a.txt"),
        ("namespace", {"type": ["string", "null"]}, "in namespace: team-a", "team-a"),
        ("tags", {"type": "array", "items": TEXT}, "do it", []),
        ("questions", {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["question"],
                       "properties": {"question": TEXT}}}, "Which one?", [{"question": "Which one?"}]),
        ("place", {"$ref": "#/$defs/Place"}, "to Rome", {"timezone": "Europe/Rome"}),
    ],
)  # fmt: skip
def test_a_required_parameter_is_filled_by_its_rule(name: str, schema: Json, prompt: str, value: object) -> None:
    place = {"type": "object", "properties": {"timezone": ZONE}, "required": ["timezone"]}
    whole = {"type": "object", "properties": {name: schema}, "required": [name], "$defs": {"Place": place}}
    assert arguments_for(whole, prompt, prompt).calls == ({name: value},)


def test_optional_parameters_are_left_out_unless_the_prompt_names_them() -> None:
    limit: Json = {"type": "integer", "default": 10}
    schema: Json = {"type": "object", "properties": {"limit": limit, "query": TEXT, "title": TEXT}}
    assert arguments_for(schema, "find 7 shoes", "find 7 shoes").calls == ({},)
    named = "title notes, limit 7"
    assert arguments_for(schema, named, named).calls == ({"limit": 7, "title": "notes"},)
