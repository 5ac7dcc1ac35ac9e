"""``kagent-engine check URL``: holds any agent to the contract of docs/own-agents.md and tells what it found.

Speaks raw JSON-RPC, so that what it finds is the agent's doing and no SDK's.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import orjson

from kagent_engine.check_contract import Dialect, Finding, card_findings, dialect_findings
from kagent_engine.errors import KagentError
from kagent_engine.shapes import JsonObject, as_object, as_objects, as_text, is_object

__all__ = ["run_check"]


def run_check(url: str, *, message: str, timeout: float) -> int:
    """Check one agent; return 0 when it keeps what the contract demands in every dialect of its card, else 1."""
    return asyncio.run(_check(url.rstrip("/"), message, timeout))


async def _check(url: str, message: str, timeout: float) -> int:
    limits = aiohttp.ClientTimeout(total=timeout)
    broken = False
    async with aiohttp.ClientSession(timeout=limits, trust_env=True) as http:
        card = await _card(http, url)
        _say(f"card      {as_text(card.get('name'))} {as_text(card.get('version'))}".rstrip())
        dialects = _dialects(card)
        _say(f"dialects  {', '.join(dialects) or 'none of ours (no JSONRPC interface)'}")
        for extension in as_objects(as_object(card.get("capabilities")).get("extensions")):
            _say(f"extension {as_text(extension.get('uri'))}")
        for finding in card_findings(card):
            broken |= _tell("card   ", finding)
        for dialect in dialects:
            async for finding in dialect_findings(http, url, dialect, message):
                broken |= _tell(f"A2A {dialect}", finding)
    return 0 if dialects and not broken else 1


def _tell(about: str, finding: Finding) -> bool:
    """Print one finding; return whether something that is demanded is broken."""
    verdict = "ok" if not finding.problem else "FAILED" if finding.required else "warning"
    problem = f": {finding.problem}" if finding.problem else ""
    _say(f"{about}   {verdict:<8}{finding.rule}  {finding.what}{problem}")
    return verdict == "FAILED"


async def _card(http: aiohttp.ClientSession, url: str) -> JsonObject:
    address = f"{url}/.well-known/agent-card.json"
    try:
        async with http.get(address) as response:
            body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise KagentError(
            f"{address} did not answer: {error or 'timeout'}", remedy="is the agent running at this address?"
        ) from error
    if response.status != 200:
        raise KagentError(f"{address} answered {response.status}", remedy="an agent serves its card there")
    try:
        card: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise KagentError(f"{address} is not JSON: {error}") from error
    if not is_object(card):
        raise KagentError(f"{address} is no object")
    return card


def _dialects(card: JsonObject) -> list[Dialect]:
    versions = [
        as_text(entry.get("protocolVersion"))
        for entry in as_objects(card.get("supportedInterfaces"))
        if entry.get("protocolBinding") == "JSONRPC"
    ]
    versions.append(as_text(card.get("protocolVersion")))
    found: list[Dialect] = []
    if any(version.startswith("1.") for version in versions):
        found.append("1.0")
    if any(version.startswith("0.3") for version in versions):
        found.append("0.3")
    return found


def _say(line: str) -> None:
    # What an agent says is not let near a terminal as it is.
    sys.stdout.write("".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line) + "\n")
