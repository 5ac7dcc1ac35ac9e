"""Records hold bodies packed; nothing may be lost or mixed up by it."""

from __future__ import annotations

import orjson

from kagent_localcluster.apiserver.records import RecordMaker


def _body(name: str, text: str) -> bytes:
    return orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}})


def test_every_body_comes_back_whatever_its_kinds_dictionary_was() -> None:
    make = RecordMaker()
    texts = ["", "short", "täxt " * 5_000, *(f"item {index} of many that look alike " * 40 for index in range(50)), "x"]
    bodies = [_body(f"n{index}", text) for index, text in enumerate(texts)]
    records = [make("/configmaps", "ns", f"n{index}", "uid", index, body) for index, body in enumerate(bodies)]
    assert [record.body for record in records] == bodies
    assert [record.load()["metadata"]["name"] for record in records] == [f"n{index}" for index in range(len(texts))]
    assert make("/secrets", "ns", "empty", "uid", 1, b"{}").load() == {}


def test_objects_that_resemble_each_other_take_a_fraction_of_their_size() -> None:
    make = RecordMaker()
    words = " ".join(str(index * 7_919) for index in range(300))
    records = [make("/configmaps", "ns", f"n{index}", "uid", index, _body(f"n{index}", words)) for index in range(100)]
    assert sum(record.held for record in records[1:]) * 10 < sum(record.size for record in records[1:])
