"""Pods as processes: what their status says, what they are given, how they end."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kagent_localcluster.errors import BadRequest, NotFound
from kagent_localcluster.runner.resources import CONFIGMAPS, EVENTS, PODS, SECRETS, SERVICEACCOUNTS
from kagent_localcluster.seams import JsonObject, LogOptions

SLEEP = "import time; print('up', flush=True); time.sleep(600)"


def pod(name: str, code: str = SLEEP, **spec: Any) -> JsonObject:
    """Return a Pod of one container that runs Python code; ``container`` overrides its fields."""
    container: JsonObject = {"name": "main", "image": "python:3", "args": ["-c", code], **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", **spec.pop("metadata", {})},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container, *spec.pop("more", [])], **spec},
    }


def put(cluster: Any, body: JsonObject) -> JsonObject:
    return cluster.objects.create(PODS, "default", body)


def secret(name: str, **values: str) -> JsonObject:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": data}


def config_map(name: str, **values: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": values,
    }


def conditions(body: JsonObject) -> dict[str, str]:
    return {entry["type"]: entry["status"] for entry in body["status"]["conditions"]}


def reasons(cluster: Any, name: str) -> set[str]:
    events = cluster.objects.list(EVENTS, "default")
    return {event["reason"] for event in events if event["involvedObject"]["name"] == name}


async def environment(cluster: Any, name: str) -> dict[str, str]:
    """Return the environment that a Pod running ``ENVIRONMENT`` printed."""
    await cluster.until(lambda: cluster.state(name).get("terminated"))
    return json.loads(await cluster.log(name))


ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


async def test_a_pod_without_probes_is_ready_once_its_program_runs(cluster: Any) -> None:
    put(cluster, pod("plain"))
    await cluster.until(lambda: conditions(cluster.pod("plain")).get("Ready") == "True")
    body = cluster.pod("plain")
    assert body["spec"]["nodeName"] == "local"
    assert body["status"]["phase"] == "Running"
    assert body["status"]["podIP"] == body["status"]["hostIP"] == "127.0.0.1"
    (status,) = body["status"]["containerStatuses"]
    assert (status["ready"], status["started"], status["restartCount"]) == (True, True, 0)
    assert status["imageID"]
    assert {"Scheduled", "Started"} <= reasons(cluster, "plain")


async def test_a_program_that_ends_well_under_restart_policy_never_makes_its_pod_succeed(cluster: Any) -> None:
    put(cluster, pod("done", "print('bye')", restartPolicy="Never"))
    await cluster.until(lambda: cluster.pod("done")["status"]["phase"] == "Succeeded")
    assert cluster.state("done")["terminated"]["reason"] == "Completed"
    assert conditions(cluster.pod("done"))["Ready"] == "False"
    assert await cluster.log("done") == "bye\n"


async def test_a_failing_program_is_restarted_with_growing_delays_and_its_last_words_kept(cluster: Any) -> None:
    put(cluster, pod("crash", "import sys; sys.exit('no key given')"))
    await cluster.until(lambda: cluster.state("crash").get("waiting", {}).get("reason") == "CrashLoopBackOff")
    (status,) = cluster.pod("crash")["status"]["containerStatuses"]
    last = status["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (1, "Error")
    assert "no key given" in last["message"]
    assert status["restartCount"] >= 1
    assert "back-off" in status["state"]["waiting"]["message"]
    assert "BackOff" in reasons(cluster, "crash")


async def test_logs_of_the_run_before_are_kept(cluster: Any, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = (
        f"import pathlib, time; p = pathlib.Path({str(marker)!r}); first = not p.exists(); p.touch()\n"
        "print('first' if first else 'second', flush=True)\n"
        "raise SystemExit(1) if first else time.sleep(600)"
    )
    put(cluster, pod("twice", code))
    await cluster.until(lambda: cluster.pod("twice")["status"]["containerStatuses"][0]["restartCount"] == 1)
    assert await cluster.log("twice", previous=True) == "first\n"
    await cluster.until(lambda: "running" in cluster.state("twice"))
    pieces = cluster.runner.logs("default", "twice", LogOptions(follow=True))
    assert await anext(aiter_nonempty(pieces)) == b"second\n"


async def aiter_nonempty(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if piece:
            yield piece


async def test_an_image_that_only_a_container_engine_could_run_says_so(cluster: Any) -> None:
    put(cluster, pod("foreign", container={"image": "nginx:1.27"}))
    waiting = await cluster.until(lambda: cluster.state("foreign").get("waiting", {}).get("message"))
    assert "nginx:1.27" in waiting
    assert "container engine" in waiting
    assert cluster.state("foreign")["waiting"]["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert cluster.pod("foreign")["status"]["phase"] == "Pending"


async def test_a_rule_added_to_the_image_map_starts_a_waiting_pod(cluster: Any) -> None:
    put(cluster, pod("late", container={"image": "mine:1"}))
    await cluster.until(lambda: "waiting" in cluster.state("late") and cluster.state("late")["waiting"].get("message"))
    rules = json.loads(cluster.images.read_text())
    rules["rules"].append({"image": "mine:*", "entrypoint": rules["rules"][0]["entrypoint"]})
    cluster.images.write_text(json.dumps(rules))
    await cluster.until(lambda: "running" in cluster.state("late"))


async def test_a_program_that_is_not_here_is_a_start_error_that_names_it(cluster: Any) -> None:
    put(cluster, pod("absent", restartPolicy="Never", container={"command": ["/app/server"], "args": []}))
    ended = await cluster.until(lambda: cluster.state("absent").get("terminated"))
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert "/app/server" in ended["message"]
    assert cluster.pod("absent")["status"]["phase"] == "Failed"


async def test_a_missing_secret_key_is_named_and_the_pod_starts_when_it_comes(cluster: Any) -> None:
    reference = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "bailian", "key": "credential"}}}
    cluster.objects.create(SECRETS, "default", secret("bailian", apikey="hidden-value"))
    put(cluster, pod("waits", ENVIRONMENT, restartPolicy="Never", container={"env": [reference]}))
    waiting = await cluster.until(lambda: cluster.state("waits").get("waiting", {}).get("message"))
    assert cluster.state("waits")["waiting"]["reason"] == "CreateContainerConfigError"
    assert waiting == "Secret 'bailian' has no key 'credential' (it has: 'apikey')"
    cluster.objects.update(SECRETS, "default", "bailian", secret("bailian", credential="sesame"))
    assert (await environment(cluster, "waits"))["KEY"] == "sesame"


async def test_the_shells_variables_stay_out_and_what_a_pod_needs_comes_in(cluster: Any) -> None:
    put(cluster, pod("env", ENVIRONMENT, restartPolicy="Never", container={"ports": [{"containerPort": 8080}]}))
    found = await environment(cluster, "env")
    assert "SECRET_OF_THE_SHELL" not in found
    assert found["HOSTNAME"] == "env"
    assert found["HTTP_PROXY"].startswith("http://default%2Fenv:")
    assert found["http_proxy"] == found["HTTP_PROXY"]
    assert "127.0.0.1" in found["NO_PROXY"].split(",")
    assert found["PORT"] != "8080"
    paths = json.loads(found["KAGENT_TUI_PATHS"])
    assert paths["/dev/termination-log"].endswith("termination-log")
    token = token_file(found["KUBECONFIG"])
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent == Path(paths["/var/run/secrets/kubernetes.io/serviceaccount"])


def token_file(kubeconfig: str) -> Path:
    return Path(json.loads(Path(kubeconfig).read_text())["users"][0]["user"]["tokenFile"])


async def test_a_pod_that_wants_no_token_gets_none(cluster: Any) -> None:
    put(cluster, pod("bare", ENVIRONMENT, restartPolicy="Never", automountServiceAccountToken=False))
    found = await environment(cluster, "bare")
    assert "KUBECONFIG" not in found
    assert "KUBERNETES_SERVICE_HOST" not in found


async def test_a_service_account_that_is_missing_is_named(cluster: Any) -> None:
    put(cluster, pod("nobody", serviceAccountName="ghost"))
    message = await cluster.until(lambda: cluster.state("nobody").get("waiting", {}).get("message"))
    assert "ServiceAccount 'ghost'" in message
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ghost", "namespace": "default"}}
    cluster.objects.create(SERVICEACCOUNTS, "default", account)
    await cluster.until(lambda: "running" in cluster.state("nobody"))


async def test_mounted_files_change_under_a_running_program(cluster: Any, tmp_path: Path) -> None:
    cluster.objects.create(CONFIGMAPS, "default", config_map("settings", mode="slow"))
    code = "import sys, time; print(sys.argv[1], flush=True); time.sleep(600)"
    mounted = {
        "args": ["-c", code, "--file=/config/mode"],
        "volumeMounts": [{"name": "config", "mountPath": "/config"}],
    }
    put(cluster, pod("reads", container=mounted, volumes=[{"name": "config", "configMap": {"name": "settings"}}]))
    await cluster.until(lambda: "running" in cluster.state("reads"))
    uid = cluster.pod("reads")["metadata"]["uid"]
    shown = cluster.data_dir / "pods" / uid / "volumes" / "config" / "mode"
    assert shown.read_text() == "slow"
    cluster.objects.update(CONFIGMAPS, "default", "settings", config_map("settings", mode="fast"))
    await cluster.until(lambda: shown.read_text() == "fast")


async def test_init_containers_run_one_after_the_other_before_the_rest(cluster: Any, tmp_path: Path) -> None:
    order = tmp_path / "order"
    step = "open({!r}, 'a').write({!r})"
    inits = [
        {"name": "skipped", "image": "skipped:1"},
        {"name": "one", "image": "python:3", "args": ["-c", step.format(str(order), "1")]},
        {"name": "two", "image": "python:3", "args": ["-c", step.format(str(order), "2")]},
    ]
    put(cluster, pod("ordered", step.format(str(order), "3"), initContainers=inits, restartPolicy="Never"))
    await cluster.until(lambda: cluster.pod("ordered")["status"]["phase"] == "Succeeded")
    assert order.read_text() == "123"
    statuses = cluster.pod("ordered")["status"]["initContainerStatuses"]
    assert [status["state"]["terminated"]["reason"] for status in statuses] == ["Completed"] * 3


async def test_a_failing_init_container_under_never_fails_the_pod(cluster: Any) -> None:
    inits = [{"name": "one", "image": "python:3", "args": ["-c", "raise SystemExit(2)"]}]
    put(cluster, pod("stuck", initContainers=inits, restartPolicy="Never"))
    await cluster.until(lambda: cluster.pod("stuck")["status"]["phase"] == "Failed")
    assert "waiting" in cluster.state("stuck")


async def test_a_sidecar_runs_beside_the_others_and_ends_with_them(cluster: Any) -> None:
    sidecar = {"name": "side", "image": "python:3", "args": ["-c", SLEEP], "restartPolicy": "Always"}
    put(cluster, pod("paired", "print('done')", initContainers=[sidecar], restartPolicy="Never"))
    await cluster.until(lambda: cluster.pod("paired")["status"]["phase"] == "Succeeded")
    (side,) = await cluster.until(
        lambda: [s for s in cluster.pod("paired")["status"]["initContainerStatuses"] if "terminated" in s["state"]]
    )
    assert side["name"] == "side"


async def test_a_readiness_probe_decides_and_a_failing_liveness_probe_restarts(cluster: Any, tmp_path: Path) -> None:
    healthy = tmp_path / "healthy"
    healthy.touch()
    check = {"exec": {"command": ["test", "-e", str(healthy)]}, "periodSeconds": 1, "failureThreshold": 1}
    put(cluster, pod("probed", container={"readinessProbe": check, "livenessProbe": check}))
    await cluster.until(lambda: conditions(cluster.pod("probed")).get("Ready") == "True")
    healthy.unlink()
    await cluster.until(lambda: cluster.pod("probed")["status"]["containerStatuses"][0]["restartCount"] > 0)
    assert conditions(cluster.pod("probed"))["Ready"] == "False"
    assert {"Unhealthy", "Killing"} <= reasons(cluster, "probed")


async def test_an_initial_delay_does_not_hold_back_a_program_that_answers_at_once(cluster: Any) -> None:
    probe = {"exec": {"command": ["true"]}, "initialDelaySeconds": 3_000, "periodSeconds": 3_000}
    put(cluster, pod("quick", container={"readinessProbe": probe}))
    await cluster.until(lambda: conditions(cluster.pod("quick")).get("Ready") == "True")


async def test_a_startup_probe_holds_readiness_back(cluster: Any, tmp_path: Path) -> None:
    started = tmp_path / "started"
    probe = {"exec": {"command": ["test", "-e", str(started)]}, "periodSeconds": 1, "failureThreshold": 100}
    put(cluster, pod("slow", container={"startupProbe": probe}))
    await cluster.until(lambda: "running" in cluster.state("slow"))
    assert conditions(cluster.pod("slow"))["Ready"] == "False"
    started.touch()
    await cluster.until(lambda: conditions(cluster.pod("slow"))["Ready"] == "True")


async def test_deleting_a_pod_ends_every_process_it_started_and_removes_its_files(cluster: Any, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)"
    )
    created = put(cluster, pod("deaf", code))
    numbers = await cluster.until(lambda: pids.exists() and len(pids.read_text().split()) == 2 and pids.read_text())
    cluster.objects.delete(PODS, "default", "deaf")
    await cluster.until(lambda: not any(item["metadata"]["name"] == "deaf" for item in cluster.objects.list(PODS)))
    for number in numbers.split():
        assert not _runs(int(number))
    await cluster.until(lambda: not (cluster.data_dir / "pods" / created["metadata"]["uid"]).exists())


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"


async def test_pods_run_again_after_the_local_cluster_was_restarted(start_cluster: Any) -> None:
    first = await start_cluster()
    put(first, pod("lasting"))
    put(first, pod("once", SLEEP, restartPolicy="Never"))
    await first.until(lambda: "running" in first.state("lasting") and "running" in first.state("once"))
    assert await anext(aiter(first.runner.logs("default", "lasting", LogOptions(follow=True)))) == b"up\n"
    second = await start_cluster()
    await second.until(lambda: "running" in second.state("lasting"))
    (status,) = second.pod("lasting")["status"]["containerStatuses"]
    assert status["restartCount"] == 1
    assert "terminated" in status["lastState"]
    assert second.pod("once")["status"]["phase"] == "Failed"
    assert await second.log("lasting", previous=True) == "up\n"


async def test_logs_of_a_container_that_did_not_start_or_does_not_exist_are_refused(cluster: Any) -> None:
    put(cluster, pod("foreign", container={"image": "nginx"}))
    await cluster.until(lambda: cluster.state("foreign").get("waiting", {}).get("message"))
    with pytest.raises(BadRequest, match="waiting to start"):
        await cluster.log("foreign")
    with pytest.raises(BadRequest, match="not valid"):
        await cluster.log("foreign", container="other")
    with pytest.raises(NotFound):
        await cluster.log("nothing")


async def test_a_termination_message_is_read_from_the_file_that_the_path_map_names(cluster: Any) -> None:
    code = (
        "import json, os\n"
        "path = json.loads(os.environ['KAGENT_TUI_PATHS'])['/dev/termination-log']\n"
        "open(path, 'w').write('the model refused the key'); raise SystemExit(4)"
    )
    put(cluster, pod("speaks", code, restartPolicy="Never"))
    ended = await cluster.until(lambda: cluster.state("speaks").get("terminated"))
    assert (ended["exitCode"], ended["message"]) == (4, "the model refused the key")


async def test_two_pods_that_say_the_same_port_listen_side_by_side(cluster: Any) -> None:
    code = (
        "import http.server, sys\n"
        "http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])),"
        " http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    serving = {
        "args": ["-c", code, "0.0.0.0", "8080"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
    }
    for name in ("one", "two"):
        put(cluster, pod(name, container=serving))
    for name in ("one", "two"):
        await cluster.until(lambda name=name: conditions(cluster.pod(name)).get("Ready") == "True")
    addresses = {cluster.runner.pod_address("default", name, "8080") for name in ("one", "two")}
    assert len(addresses) == 2


async def test_a_program_that_ignores_its_port_is_noticed_and_reached_where_it_listens(
    cluster: Any, unused_tcp_port: int
) -> None:
    code = (
        "import http.server\n"
        f"http.server.ThreadingHTTPServer(('127.0.0.1', {unused_tcp_port}),"
        " http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    probe = {"httpGet": {"path": "/", "port": unused_tcp_port}}
    put(
        cluster,
        pod("stubborn", code, container={"ports": [{"containerPort": unused_tcp_port}], "readinessProbe": probe}),
    )
    await cluster.until(lambda: conditions(cluster.pod("stubborn")).get("Ready") == "True")
    assert cluster.runner.pod_address("default", "stubborn", str(unused_tcp_port)).port == unused_tcp_port
    assert "PortIgnored" in reasons(cluster, "stubborn")


async def test_several_containers_share_the_pods_ports_and_are_all_needed_for_ready(
    cluster: Any, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    server = {
        "args": ["-c", "import os, time; print(os.environ['PORT'], flush=True); time.sleep(600)"],
        "ports": [{"name": "web", "containerPort": 9000}],
    }
    client = {
        "name": "client",
        "image": "python:3",
        "args": [
            "-c",
            f"import sys, time; open({str(told)!r}, 'w').write(sys.argv[1]); time.sleep(600)",
            "localhost:9000",
        ],
        "readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1},
    }
    put(cluster, pod("double", container=server, more=[client]))
    await cluster.until(lambda: told.exists() and told.read_text())
    await cluster.until(lambda: "running" in cluster.state("double", 0) and "running" in cluster.state("double", 1))
    real = cluster.runner.pod_address("default", "double", "web").port
    assert told.read_text() == f"localhost:{real}"
    await cluster.until(lambda: str(real) in _stored_log(cluster, "double"))
    assert conditions(cluster.pod("double"))["Ready"] == "False"


async def test_hooks_run_after_the_start_and_before_the_end(cluster: Any, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    note = ["sh", "-c"]
    hooks = {
        "postStart": {"exec": {"command": [*note, f"echo started >> {notes}"]}},
        "preStop": {"exec": {"command": [*note, f"echo stopping >> {notes}"]}},
    }
    put(cluster, pod("hooked", container={"lifecycle": hooks}))
    await cluster.until(lambda: conditions(cluster.pod("hooked")).get("Ready") == "True")
    cluster.objects.delete(PODS, "default", "hooked")
    await cluster.until(lambda: not cluster.objects.list(PODS, "default"))
    assert notes.read_text().split() == ["started", "stopping"]


async def test_a_forced_deletion_does_not_wait_for_a_deaf_program(cluster: Any) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    put(cluster, pod("deaf", code, terminationGracePeriodSeconds=500))
    await cluster.until(lambda: "running" in cluster.state("deaf"))
    (status,) = cluster.pod("deaf")["status"]["containerStatuses"]
    number = int(status["containerID"].removeprefix("process://"))
    await cluster.until(lambda: "deaf" in _stored_log(cluster, "deaf"))
    cluster.objects.delete(PODS, "default", "deaf")
    await cluster.until(lambda: cluster.pod("deaf")["metadata"].get("deletionTimestamp"))
    assert _runs(number)
    cluster.objects.delete(PODS, "default", "deaf")
    await cluster.until(lambda: not _runs(number))


def _stored_log(cluster: Any, name: str) -> str:
    uid = cluster.pod(name)["metadata"]["uid"]
    path = cluster.data_dir / "pods" / uid / "logs" / "main" / "0.log"
    return path.read_text() if path.exists() else ""


def events_of(cluster: Any, name: str) -> list[tuple[str, str]]:
    events = cluster.objects.list(EVENTS, "default")
    ordered = sorted(events, key=lambda event: int(event["metadata"]["resourceVersion"]))
    return [(event["reason"], event["message"]) for event in ordered if event["involvedObject"]["name"] == name]


async def test_a_pods_life_is_told_in_the_kubelets_words(cluster: Any) -> None:
    put(cluster, pod("told"))
    await cluster.until(lambda: conditions(cluster.pod("told")).get("Ready") == "True")
    cluster.objects.delete(PODS, "default", "told")
    await cluster.until(lambda: ("Killing", "Stopping container main") in events_of(cluster, "told"))
    assert events_of(cluster, "told") == [
        ("Scheduled", "Successfully assigned default/told to local"),
        ("Pulled", 'Container image "python:3" already present on machine and can be accessed by the pod'),
        ("Created", "Container created"),
        ("Started", "Container started"),
        ("Killing", "Stopping container main"),
    ]


async def test_the_deadline_of_a_pod_counts_its_init_containers(cluster: Any) -> None:
    body = pod("late", restartPolicy="Never", activeDeadlineSeconds=1)
    body["spec"]["initContainers"] = [{"name": "slow", "image": "python:3", "args": ["-c", SLEEP]}]
    put(cluster, body)
    await cluster.until(lambda: cluster.pod("late")["status"]["phase"] == "Failed")
    status = cluster.pod("late")["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == "Pod was active on the node longer than the specified deadline"


async def test_sidecars_end_after_the_rest_in_the_reverse_order_of_their_start(cluster: Any, tmp_path: Path) -> None:
    place = tmp_path / "ends"
    code = (
        "import signal, sys, time\n"
        f"def end(*_): open({str(place)!r}, 'a').write(sys.argv[1] + ' '); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(99)"
    )
    body = pod("ordered", terminationGracePeriodSeconds=10, container={"args": ["-c", code, "main"]})
    body["spec"]["initContainers"] = [
        {"name": name, "image": "python:3", "restartPolicy": "Always", "args": ["-c", code, name]}
        for name in ("first", "second")
    ]
    put(cluster, body)
    await cluster.until(lambda: conditions(cluster.pod("ordered")).get("Ready") == "True")
    for name in ("main", "first", "second"):  # each has said that it listens to SIGTERM
        follow = cluster.runner.logs("default", "ordered", LogOptions(container=name, follow=True))
        assert await anext(aiter(follow)) == b"up\n"
    cluster.objects.delete(PODS, "default", "ordered")
    await cluster.until(lambda: not [one for one in cluster.objects.list(PODS) if one["metadata"]["name"] == "ordered"])
    assert place.read_text().split() == ["main", "second", "first"]


async def test_a_container_that_has_done_its_work_does_not_run_again_after_a_restart(
    start_cluster: Any, tmp_path: Path
) -> None:
    cluster = await start_cluster()
    count = f"open({str(tmp_path / 'runs')!r}, 'a').write('ran ')"
    other: JsonObject = {"name": "other", "image": "python:3", "args": ["-c", SLEEP]}
    put(cluster, pod("half", count, restartPolicy="OnFailure", more=[other]))
    await cluster.until(lambda: cluster.state("half").get("terminated") and cluster.state("half", 1).get("running"))
    cluster = await start_cluster()
    await cluster.until(lambda: cluster.pod("half")["status"]["containerStatuses"][1]["restartCount"] == 1)
    await cluster.until(lambda: cluster.state("half", 1).get("running"))
    assert cluster.state("half")["terminated"]["reason"] == "Completed"
    assert (tmp_path / "runs").read_text() == "ran "


async def test_the_end_of_a_long_termination_message_is_kept(cluster: Any) -> None:
    code = (
        "import json, os; path = json.loads(os.environ['KAGENT_TUI_PATHS'])['/dev/termination-log']\n"
        "open(path, 'w').write('x' * 5000 + ' the cause')"
    )
    put(cluster, pod("wordy", code, restartPolicy="Never"))
    await cluster.until(lambda: cluster.state("wordy").get("terminated"))
    message = cluster.state("wordy")["terminated"]["message"]
    assert len(message) == 4096
    assert message.endswith(" the cause")


async def test_a_host_name_that_a_pod_asks_for_is_its_host_name(cluster: Any) -> None:
    put(cluster, pod("named", ENVIRONMENT, restartPolicy="Never", hostname="db-0"))
    assert (await environment(cluster, "named"))["HOSTNAME"] == "db-0"


async def test_a_pod_behind_a_scheduling_gate_waits_until_the_gate_is_taken_away(cluster: Any) -> None:
    put(cluster, pod("gated", schedulingGates=[{"name": "example.com/quota"}]))
    await cluster.until(lambda: conditions(cluster.pod("gated")).get("PodScheduled") == "False")
    body = cluster.pod("gated")
    assert "nodeName" not in body["spec"]
    assert (body["status"]["phase"], body["status"]["conditions"][0]["reason"]) == ("Pending", "SchedulingGated")
    cluster.objects.update(PODS, "default", "gated", {**body, "spec": {**body["spec"], "schedulingGates": []}})
    await cluster.until(lambda: conditions(cluster.pod("gated")).get("Ready") == "True")


async def test_an_ended_run_keeps_its_container_id_and_being_scheduled_is_no_new_generation(cluster: Any) -> None:
    put(cluster, pod("brief", "pass", restartPolicy="Never"))
    await cluster.until(lambda: cluster.state("brief").get("terminated"))
    body = cluster.pod("brief")
    (status,) = body["status"]["containerStatuses"]
    assert status["containerID"] == status["state"]["terminated"]["containerID"]
    assert status["containerID"].startswith("process://")
    assert body["metadata"]["generation"] == 1


async def test_a_pod_with_a_readiness_gate_is_ready_when_somebody_opens_it(cluster: Any) -> None:
    put(cluster, pod("waits", readinessGates=[{"conditionType": "example.com/warm"}]))
    await cluster.until(lambda: conditions(cluster.pod("waits")).get("ContainersReady") == "True")
    body = cluster.pod("waits")
    ready = next(one for one in body["status"]["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")
    opened = [*body["status"]["conditions"], {"type": "example.com/warm", "status": "True"}]
    status = {**body["status"], "conditions": opened}
    cluster.objects.update(PODS, "default", "waits", {**body, "status": status}, subresource="status")
    await cluster.until(lambda: conditions(cluster.pod("waits")).get("Ready") == "True")


async def test_a_failing_liveness_probe_may_have_a_grace_period_of_its_own(cluster: Any) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(99)"
    probe: JsonObject = {
        "exec": {"command": ["false"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
        "initialDelaySeconds": 1,
        "terminationGracePeriodSeconds": 1,
    }
    put(cluster, pod("hung", deaf, terminationGracePeriodSeconds=300, container={"livenessProbe": probe}))
    await cluster.until(lambda: cluster.pod("hung")["status"]["containerStatuses"][0]["restartCount"] > 0)
    assert ("Killing", "Container main failed liveness probe, will be restarted") in events_of(cluster, "hung")
    cluster.objects.delete(PODS, "default", "hung")
    cluster.objects.delete(PODS, "default", "hung")  # by force


async def test_another_image_starts_a_container_anew_whatever_its_restart_policy(cluster: Any) -> None:
    put(cluster, pod("moved", restartPolicy="Never", container={"image": "nowhere:1"}))

    def image(name: str) -> None:
        body = cluster.pod("moved")
        body["spec"]["containers"][0]["image"] = name
        cluster.objects.update(PODS, "default", "moved", body)

    await cluster.until(lambda: "Image" in cluster.state("moved").get("waiting", {}).get("reason", ""))
    image("python:3")  # also out of ImagePullBackOff
    await cluster.until(lambda: cluster.state("moved").get("running"))
    image("python:4")
    await cluster.until(lambda: cluster.pod("moved")["status"]["containerStatuses"][0]["restartCount"] == 1)
    await cluster.until(lambda: cluster.state("moved").get("running"))
    assert cluster.pod("moved")["status"]["containerStatuses"][0]["image"] == "python:4"
    assert ("Killing", "Container main definition changed, will be restarted") in events_of(cluster, "moved")
