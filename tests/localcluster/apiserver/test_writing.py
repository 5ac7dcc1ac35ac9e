"""What happens to an object between a write and the store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.errors import AlreadyExists, BadRequest, Conflict, Forbidden, Invalid, NotFound
from kagent_localcluster.seams import JsonObject, Objects, Resource

WIDGETS = Resource("example.dev", "v1alpha2", "widgets")
OLD_WIDGETS = Resource("example.dev", "v1alpha1", "widgets")
CONFIGMAPS = Resource("", "v1", "configmaps")
SECRETS = Resource("", "v1", "secrets")
SERVICES = Resource("", "v1", "services")
PODS = Resource("", "v1", "pods")
DEPLOYMENTS = Resource("apps", "v1", "deployments")

Make = Callable[..., JsonObject]


def deployment(name: str = "web", image: str = "nginx:1") -> JsonObject:
    labels = {"app": name}
    return {
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}},
        },
    }


def test_a_create_fills_in_what_the_server_decides(widgets: Objects, widget: Make) -> None:
    made = widgets.create(WIDGETS, "default", {**widget(), "status": {"replicas": 9}})
    metadata = made["metadata"]
    assert (metadata["generation"], metadata["namespace"]) == (1, "default")
    assert metadata["uid"]
    assert metadata["creationTimestamp"]
    assert "status" not in made
    assert made["spec"]["replicas"] == 1


def test_defaults_reach_into_list_items_and_nulls_make_room_for_them(widgets: Objects, widget: Make) -> None:
    body = widget(replicas=None, tools=[{"name": "a", "approval": None}], labels={"a": None, "b": "c"}, note=None)
    made = widgets.create(WIDGETS, "default", body)
    assert made["spec"]["replicas"] == 1
    assert made["spec"]["tools"] == [{"name": "a", "approval": False}]
    assert made["spec"]["labels"] == {"b": "c"}
    assert made["spec"]["note"] is None


def test_unknown_fields_are_pruned_but_not_where_the_schema_keeps_them(widgets: Objects, widget: Make) -> None:
    made = widgets.create(WIDGETS, "default", widget(typo=1, free={"deep": {"er": 1}}))
    assert "typo" not in made["spec"]
    assert made["spec"]["free"] == {"deep": {"er": 1}}


def test_structural_faults_are_listed_together_and_stop_the_rules(widgets: Objects, widget: Make) -> None:
    with pytest.raises(Invalid) as caught:
        widgets.create(WIDGETS, "default", widget(type="Nope", replicas=-1, tools=[{}]))
    found = {(cause.field, cause.reason) for cause in caught.value.causes}
    assert found == {
        ("spec.type", "FieldValueNotSupported"),
        ("spec.replicas", "FieldValueInvalid"),
        (".spec.replicas", "FieldValueInvalid"),
        ("spec.tools[0].name", "FieldValueRequired"),
        ("<nil>", "FieldValueInvalid"),
    }


@pytest.mark.parametrize(
    ("spec", "message"),
    [({"type": "BYO"}, "byo must be set"), ({"tools": [{"name": "system"}]}, "names are taken")],
)
def test_rules_refuse_with_their_message(widgets: Objects, widget: Make, spec: JsonObject, message: str) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        widgets.create(WIDGETS, "default", widget(**spec))
    assert [cause.field for cause in caught.value.causes] == ["spec"]


def test_transition_rules_compare_with_the_old_object(widgets: Objects, widget: Make) -> None:
    made = widgets.create(WIDGETS, "default", widget(fixed="a"))
    made["spec"]["fixed"] = "b"
    with pytest.raises(Invalid, match="fixed is immutable"):
        widgets.update(WIDGETS, "default", "w1", made)


def test_duplicate_keys_in_a_map_list_are_refused(widgets: Objects, widget: Make) -> None:
    with pytest.raises(Invalid, match="Duplicate value"):
        widgets.create(WIDGETS, "default", widget(tools=[{"name": "a"}, {"name": "a"}]))


def test_generation_moves_with_the_spec_only(widgets: Objects, widget: Make) -> None:
    made = widgets.create(WIDGETS, "default", widget())
    made["metadata"]["labels"] = {"a": "b"}
    labelled = widgets.update(WIDGETS, "default", "w1", made)
    assert labelled["metadata"]["generation"] == 1
    labelled["spec"]["replicas"] = 2
    assert widgets.update(WIDGETS, "default", "w1", labelled)["metadata"]["generation"] == 2


def test_a_write_that_changes_nothing_keeps_the_resource_version(widgets: Objects, widget: Make) -> None:
    made = widgets.create(WIDGETS, "default", widget())
    again = widgets.update(WIDGETS, "default", "w1", made)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_status_and_the_rest_are_written_apart(widgets: Objects, widget: Make) -> None:
    made = widgets.create(WIDGETS, "default", widget())
    made["status"] = {"replicas": 3}
    made["spec"]["replicas"] = 5
    after_main = widgets.update(WIDGETS, "default", "w1", made)
    assert "status" not in after_main
    after_main["status"] = {"replicas": 3}
    after_main["spec"]["replicas"] = 7
    after_status = widgets.update(WIDGETS, "default", "w1", after_main, subresource="status")
    assert (after_status["status"]["replicas"], after_status["spec"]["replicas"]) == (3, 5)
    assert after_status["metadata"]["generation"] == 2


def test_a_stale_resource_version_conflicts(widgets: Objects, widget: Make) -> None:
    first = widgets.create(WIDGETS, "default", widget())
    second = {**first, "spec": {**first["spec"], "replicas": 2}}
    widgets.update(WIDGETS, "default", "w1", second)
    with pytest.raises(Conflict, match="has been modified"):
        widgets.update(WIDGETS, "default", "w1", {**first, "spec": {**first["spec"], "replicas": 3}})


def test_every_served_version_shows_the_same_object(widgets: Objects, widget: Make) -> None:
    widgets.create(WIDGETS, "default", widget(port="http"))
    old = widgets.get(OLD_WIDGETS, "default", "w1")
    assert old["apiVersion"] == "example.dev/v1alpha1"
    assert old["spec"]["port"] == "http"


def test_what_the_storage_version_does_not_know_cannot_come_in_through_another(widgets: Objects) -> None:
    widgets.create(OLD_WIDGETS, "default", {"metadata": {"name": "o"}, "spec": {"type": "BYO", "strange": 1}})
    assert "strange" not in widgets.get(WIDGETS, "default", "o")["spec"]


def test_names_that_exist_and_namespaces_that_do_not(widgets: Objects, widget: Make) -> None:
    widgets.create(WIDGETS, "default", widget())
    with pytest.raises(AlreadyExists, match=r'widgets\.example\.dev "w1" already exists'):
        widgets.create(WIDGETS, "default", widget())
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        widgets.create(WIDGETS, "nowhere", widget())
    with pytest.raises(Invalid, match="RFC 1123"):
        widgets.create(WIDGETS, "default", widget("Not_A_Name"))


def test_generate_name_makes_a_fresh_name(widgets: Objects, widget: Make) -> None:
    body = widget()
    body["metadata"] = {"generateName": "w-"}
    names = {widgets.create(WIDGETS, "default", body)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("w-") and len(name) == 7 for name in names)


def test_a_pod_template_gets_the_defaults_clients_read_back(api: ApiServer) -> None:
    made = api.objects.create(DEPLOYMENTS, "default", deployment(image="nginx"))
    pod = made["spec"]["template"]["spec"]
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"], pod["dnsPolicy"]) == (
        "Always",
        30,
        "ClusterFirst",
    )
    assert pod["containers"][0]["imagePullPolicy"] == "Always"
    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": "25%", "maxSurge": "25%"}
    assert (made["spec"]["replicas"], made["spec"]["revisionHistoryLimit"]) == (1, 10)


def test_a_deployments_selector_must_match_and_stay(api: ApiServer) -> None:
    wrong = deployment()
    wrong["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with pytest.raises(Invalid, match="does not match template"):
        api.objects.create(DEPLOYMENTS, "default", wrong)
    made = api.objects.create(DEPLOYMENTS, "default", deployment())
    made["spec"]["selector"]["matchLabels"] = {"app": "x"}
    made["spec"]["template"]["metadata"]["labels"] = {"app": "x"}
    with pytest.raises(Invalid, match="immutable"):
        api.objects.update(DEPLOYMENTS, "default", "web", made)


def test_wrong_types_in_built_in_kinds_never_reach_validation(api: ApiServer) -> None:
    body = deployment()
    body["spec"]["replicas"] = "three"
    with pytest.raises(BadRequest, match="cannot unmarshal string into Go struct field"):
        api.objects.create(DEPLOYMENTS, "default", body)


def test_string_data_becomes_data(api: ApiServer) -> None:
    made = api.objects.create(SECRETS, "default", {"metadata": {"name": "s"}, "stringData": {"k": "v"}})
    assert (made["data"], made["type"]) == ({"k": "dg=="}, "Opaque")
    assert "stringData" not in made


def test_a_service_keeps_its_address(api: ApiServer) -> None:
    made = api.objects.create(SERVICES, "default", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    update: JsonObject = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 81}]}}
    assert api.objects.update(SERVICES, "default", "s", update)["spec"]["clusterIP"] == made["spec"]["clusterIP"]


def test_a_status_gets_the_zero_values_typed_clients_need(api: ApiServer) -> None:
    pod = api.objects.create(
        PODS, "default", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    )
    pod["status"] = {"phase": "Running", "containerStatuses": [{"name": "c", "ready": True}]}
    state = api.objects.update(PODS, "default", "p", pod, subresource="status")["status"]["containerStatuses"][0]
    assert (state["imageID"], state["restartCount"]) == ("", 0)


def test_immutable_data_stays(api: ApiServer) -> None:
    body: JsonObject = {"metadata": {"name": "c"}, "data": {"a": "1"}, "immutable": True}
    made = api.objects.create(CONFIGMAPS, "default", body)
    made["data"] = {"a": "2"}
    with pytest.raises(Invalid, match="immutable"):
        api.objects.update(CONFIGMAPS, "default", "c", made)


def test_labels_that_are_none_are_refused(api: ApiServer) -> None:
    with pytest.raises(Invalid, match="valid label"):
        api.objects.create(CONFIGMAPS, "default", {"metadata": {"name": "c", "labels": {"a": "not valid!"}}})
    with pytest.raises(BadRequest, match="labels"):
        api.objects.create(CONFIGMAPS, "default", {"metadata": {"name": "c", "labels": {"a": 1}}})


async def test_nothing_new_comes_into_a_namespace_that_ends(api: ApiServer) -> None:
    objects, namespaces = api.objects, Resource("", "v1", "namespaces")
    objects.create(namespaces, "", {"metadata": {"name": "team"}})
    held: JsonObject = {"metadata": {"name": "held", "finalizers": ["example.dev/hold"]}}
    objects.create(CONFIGMAPS, "team", held)
    objects.delete(namespaces, "", "team")
    with pytest.raises(Forbidden, match="being terminated"):
        objects.create(CONFIGMAPS, "team", {"metadata": {"name": "late"}})
