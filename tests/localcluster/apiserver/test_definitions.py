"""CRDs: what is refused, what is served, and how they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.errors import Invalid, NotFound
from kagent_localcluster.seams import JsonObject, Objects, Resource

CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
WIDGETS = Resource("example.dev", "v1alpha2", "widgets")


def test_a_definition_is_established_at_once(api: ApiServer, widget_crd: JsonObject) -> None:
    made = api.objects.create(CRDS, "", widget_crd)
    conditions = {item["type"]: item["status"] for item in made["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert made["status"]["storedVersions"] == ["v1alpha2"]
    assert made["spec"]["names"]["listKind"] == "WidgetList"
    assert api.objects.list(WIDGETS) == []


def _no_storage(crd: JsonObject) -> None:
    crd["spec"]["versions"][0]["storage"] = False


def _other_name(crd: JsonObject) -> None:
    crd["metadata"]["name"] = "gadgets.example.dev"


def _no_type(crd: JsonObject) -> None:
    del crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["note"]["type"]


def _bad_rule(crd: JsonObject) -> None:
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] = [
        {"rule": "self.type =="}
    ]


def _webhook(crd: JsonObject) -> None:
    crd["spec"]["conversion"] = {"strategy": "Webhook"}


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (_no_storage, "spec.versions"),
        (_other_name, "metadata.name"),
        (_no_type, "properties[note].type"),
        (_bad_rule, "x-kubernetes-validations[0].rule"),
        (_webhook, "spec.conversion.strategy"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_field(
    api: ApiServer, widget_crd: JsonObject, spoil: Callable[[Any], None], field: str
) -> None:
    spoil(widget_crd)
    with pytest.raises(Invalid) as caught:
        api.objects.create(CRDS, "", widget_crd)
    assert any(cause.field.endswith(field) for cause in caught.value.causes)


def test_a_changed_definition_judges_the_next_write(widgets: Objects, widget: Callable[..., JsonObject]) -> None:
    crd = widgets.get(CRDS, "", "widgets.example.dev")
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["type"]["enum"].append(
        "X"
    )
    widgets.update(CRDS, "", "widgets.example.dev", crd)
    assert widgets.create(WIDGETS, "default", widget(type="X"))["spec"]["type"] == "X"


async def test_a_definition_takes_its_objects_with_it(widgets: Objects, widget: Callable[..., JsonObject]) -> None:
    widgets.create(WIDGETS, "default", widget())
    widgets.delete(CRDS, "", "widgets.example.dev")
    for _ in range(1_000):
        if not widgets.list(CRDS):
            break
        await asyncio.sleep(0)
    assert widgets.list(CRDS) == []
    with pytest.raises(NotFound):
        widgets.list(WIDGETS)


def test_what_an_older_schema_let_in_may_stay_while_the_rest_changes(
    widgets: Objects, widget: Callable[..., JsonObject]
) -> None:
    made = widgets.create(WIDGETS, "default", widget(replicas=7, tools=[{"name": "a"}]))
    crd = widgets.get(CRDS, "", "widgets.example.dev")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    schema["properties"]["replicas"]["maximum"] = 5
    schema["properties"]["tools"]["x-kubernetes-validations"] = [{"rule": "self.size() == 0", "message": "no tools"}]
    widgets.update(CRDS, "", "widgets.example.dev", crd)
    made["spec"]["port"] = 80
    changed = widgets.update(WIDGETS, "default", "w1", made)
    assert (changed["spec"]["replicas"], changed["spec"]["port"]) == (7, 80)
    changed["spec"]["replicas"] = 8
    with pytest.raises(Invalid, match="should be less than or equal to 5"):
        widgets.update(WIDGETS, "default", "w1", changed)
    changed["spec"]["replicas"] = 3
    changed["spec"]["tools"] = [{"name": "b"}]
    with pytest.raises(Invalid, match="no tools"):
        widgets.update(WIDGETS, "default", "w1", changed)
