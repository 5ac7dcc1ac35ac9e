"""ServiceAccount tokens over the wire: issued, checked, bound, and refused when what they stand for is gone."""

from __future__ import annotations

import base64

import httpx
import orjson
import pytest

from kagent_localcluster.apiserver import ApiServer
from kagent_localcluster.errors import NotFound
from kagent_localcluster.seams import JsonObject, Resource

ACCOUNTS = Resource("", "v1", "serviceaccounts")
PODS = Resource("", "v1", "pods")
TOKEN = "/api/v1/namespaces/default/serviceaccounts/default/token"
WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"


def claims(token: str) -> JsonObject:
    part = token.split(".")[1]
    found: JsonObject = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


async def ask_token(http: httpx.AsyncClient, **spec: object) -> str:
    answer = await http.post(TOKEN, json={"spec": spec})
    assert answer.status_code == 201
    token: str = answer.json()["status"]["token"]
    return token


async def whoami(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.post(WHOAMI, json={}, headers={"Authorization": f"Bearer {token}"})


async def test_a_token_is_its_service_account(http: httpx.AsyncClient) -> None:
    token = await ask_token(http)
    info = (await whoami(http, token)).json()["status"]["userInfo"]
    assert info["username"] == "system:serviceaccount:default:default"
    assert set(info["groups"]) == {
        "system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated",
    }  # fmt: skip


async def test_a_token_for_another_audience_is_not_for_the_api(http: httpx.AsyncClient) -> None:
    token = await ask_token(http, audiences=["kagent"])
    assert (await whoami(http, token)).status_code == 401
    review = await http.post(REVIEW, json={"spec": {"token": token, "audiences": ["kagent", "other"]}})
    status = review.json()["status"]
    assert (status["authenticated"], status["audiences"]) == (True, ["kagent"])
    other = (await http.post(REVIEW, json={"spec": {"token": token, "audiences": ["other"]}})).json()["status"]
    assert other["authenticated"] is False


async def test_a_token_dies_with_its_service_account(api: ApiServer, http: httpx.AsyncClient) -> None:
    token = await ask_token(http)
    api.objects.delete(ACCOUNTS, "default", "default")
    assert (await whoami(http, token)).status_code == 401


async def test_a_token_dies_with_the_pod_it_is_bound_to(api: ApiServer, http: httpx.AsyncClient) -> None:
    spec: JsonObject = {"containers": [{"name": "c", "image": "i:1"}]}
    pod = api.objects.create(PODS, "default", {"metadata": {"name": "p"}, "spec": spec})
    token = api.service_account_token("default", "default", pod=("p", pod["metadata"]["uid"]))
    assert claims(token)["kubernetes.io"]["pod"]["name"] == "p"
    extra = (await whoami(http, token)).json()["status"]["userInfo"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
    api.objects.delete(PODS, "default", "p")
    assert (await whoami(http, token)).status_code == 401


async def test_times_are_as_asked_for(http: httpx.AsyncClient) -> None:
    payload = claims(await ask_token(http, expirationSeconds=7_200))
    assert payload["exp"] - payload["iat"] == 7_200
    refused = await http.post(TOKEN, json={"spec": {"expirationSeconds": 5}})
    assert refused.status_code == 422


@pytest.mark.parametrize(("start", "end"), [(0, -4), (1, 10_000)])
async def test_a_token_that_was_touched_is_refused(http: httpx.AsyncClient, start: int, end: int) -> None:
    token = await ask_token(http)
    spoiled = token[start:end].ljust(len(token), "A")
    assert (await whoami(http, spoiled)).status_code == 401
    assert (await whoami(http, "no.token")).status_code == 401


async def test_an_unsigned_token_is_refused(http: httpx.AsyncClient) -> None:
    _, payload, _ = (await ask_token(http)).split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert (await whoami(http, f"{header}.{payload}.")).status_code == 401


async def test_the_published_keys_verify_a_token(http: httpx.AsyncClient) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    document = (await http.get("/.well-known/openid-configuration")).json()
    key = (await http.get(httpx.URL(document["jwks_uri"]).path)).json()["keys"][0]

    def number(text: str) -> int:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=="), "big")

    public = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP256R1()).public_key()
    text, _, signature = (await ask_token(http)).rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public.verify(pair, text.encode(), ec.ECDSA(hashes.SHA256()))


def test_no_token_for_an_account_that_is_not_there(api: ApiServer) -> None:
    with pytest.raises(NotFound, match='serviceaccounts "nobody" not found'):
        api.service_account_token("default", "nobody")
