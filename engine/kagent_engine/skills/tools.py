"""The tools that an agent with skills has, under upstream's names, and what its instruction says of them.

Outside a Pod there is nothing that holds a command in, so there ``bash`` asks a person before each call.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kagent_engine.errors import ToolFailed
from kagent_engine.events import Ask
from kagent_engine.models.base import ToolCall, ToolSpec
from kagent_engine.shapes import JsonObject, as_text
from kagent_engine.skills.catalogue import Skill
from kagent_engine.skills.files import edit_file, read_file, write_file
from kagent_engine.skills.shell import run_shell
from kagent_engine.skills.workspace import Workspace
from kagent_engine.tools.base import Answer, CallContext, Tool, ToolResult, text_result

__all__ = ["SHELL", "skill_tools", "skills_notes"]

SHELL: Final = "bash"
_MOST_FILES: Final = 100


def skills_notes(skills: Sequence[Skill]) -> str:
    """Return what is added to the instruction: which skills there are and how one is used."""
    listed = "\n".join(f"- {skill.name}: {skill.description or 'no description'}" for skill in skills)
    return (
        "\n\n# Skills\n"
        "Skills hold instructions and files for particular tasks. When one fits what is asked, call `skills` with its "
        "name before anything else and follow what it says. Its files lie under skills/; write what you make to "
        f"outputs/ and look for what the user gave you in uploads/.\n{listed}\n"
    )


def skill_tools(skills: Sequence[Skill], root: Path, environ: Mapping[str, str] | None = None) -> list[Tool]:
    """Return the five tools. ``environ`` is what commands get, less its secrets (default: this process's)."""
    variables = os.environ if environ is None else environ
    by_name = {skill.name: skill for skill in skills}
    return [
        _Reading(_spec_of_skills(skills), by_name, root),
        _Shell(root, variables),
        _Files(_READ, root, _read),
        _Files(_WRITE, root, _write),
        _Files(_EDIT, root, _edit),
    ]


@dataclass(frozen=True, slots=True)
class _Reading:
    spec: ToolSpec
    skills: Mapping[str, Skill]
    root: Path

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        name = as_text(call.arguments.get("command")).strip()
        skill = self.skills.get(name)
        if skill is None:
            raise ToolFailed(f"there is no skill '{name}'; there are: {', '.join(self.skills)}")
        return text_result(await asyncio.to_thread(self._told, skill))

    def _told(self, skill: Skill) -> str:
        try:
            body = skill.body()
            files = sorted(path.relative_to(skill.folder) for path in skill.folder.rglob("*") if path.is_file())
        except (OSError, UnicodeDecodeError) as error:
            raise ToolFailed(f"skill '{skill.name}' cannot be read: {error}") from error
        place = Path("skills") / skill.folder.relative_to(self.root)
        listed = "\n".join(f"- {place / file}" for file in files[:_MOST_FILES])
        more = f"\n- and {len(files) - _MOST_FILES} more" if len(files) > _MOST_FILES else ""
        return f"Skill {skill.name}, in {place}\n\n{body.strip()}\n\nIts files:\n{listed}{more}"


@dataclass(frozen=True, slots=True)
class _Shell:
    root: Path
    environ: Mapping[str, str]
    spec = ToolSpec(
        name=SHELL,
        description=(
            "Run one bash command line in the session's folder. It gets no input, may take 30 seconds (60 for Python), "
            "and what it starts ends with it. Secrets of the agent are not in its environment."
        ),
        parameters={
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "The command line."},
                "description": {"type": "string", "description": "What it does, in a few words."},
            },
            "required": ["command"],
        },
    )

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        command = as_text(call.arguments.get("command"))
        if not command.strip() or "\0" in command:
            raise ToolFailed("'command' must be a command line")
        workspace = await asyncio.to_thread(_workspace, self.root, context)
        try:
            ended = await run_shell(command, workspace.root, self.environ)
        except OSError as error:
            raise ToolFailed(f"no shell can be started: {error.strerror}") from error
        words = ended.output.rstrip("\n")
        if ended.cut:
            words += "\n[output beyond 1 MiB was dropped]"
        if ended.timed_out is not None:
            return text_result(f"{words}\n[stopped after {ended.timed_out:.0f} s]".lstrip("\n"), is_error=True)
        if ended.code:
            return text_result(f"{words}\n[exit code {ended.code}]".lstrip("\n"), is_error=True)
        return text_result(words or "[no output]")


@dataclass(frozen=True, slots=True)
class _Files:
    spec: ToolSpec
    root: Path
    run: Callable[[Workspace, JsonObject], str]

    async def call(self, call: ToolCall, context: CallContext, answer: Answer | None = None) -> ToolResult | Ask:
        return text_result(await asyncio.to_thread(self._run, call, context))

    def _run(self, call: ToolCall, context: CallContext) -> str:
        return self.run(_workspace(self.root, context), call.arguments)


def _workspace(root: Path, context: CallContext) -> Workspace:
    try:
        return Workspace.of(context.session_id, context.user_id, root)
    except OSError as error:
        raise ToolFailed(f"the session's folder cannot be made: {error}; the Pod needs a writable /tmp") from error


def _read(workspace: Workspace, given: JsonObject) -> str:
    offset, limit = given.get("offset"), given.get("limit")
    return read_file(
        workspace,
        as_text(given.get("file_path")),
        offset=int(offset) if isinstance(offset, int | float) else 1,
        limit=int(limit) if isinstance(limit, int | float) else 2000,
    )


def _write(workspace: Workspace, given: JsonObject) -> str:
    content = given.get("content")
    if not isinstance(content, str):
        raise ToolFailed("'content' must be the text of the file")
    return write_file(workspace, as_text(given.get("file_path")), content)


def _edit(workspace: Workspace, given: JsonObject) -> str:
    return edit_file(
        workspace,
        as_text(given.get("file_path")),
        as_text(given.get("old_string")),
        as_text(given.get("new_string")),
        everywhere=given.get("replace_all") is True,
    )


def _spec_of_skills(skills: Sequence[Skill]) -> ToolSpec:
    return ToolSpec(
        name="skills",
        description="Load a skill: its instructions and the names of its files.",
        parameters={
            "type": "object",
            "properties": {
                "command": {
                    "type": "string",
                    "description": "The skill's name.",
                    "enum": [skill.name for skill in skills],
                }
            },
            "required": ["command"],
        },
    )


_PATH: Final[JsonObject] = {"type": "string", "description": "Path in the session's folder, such as outputs/report.md."}
_READ: Final = ToolSpec(
    name="read_file",
    description="Read a text file of the session's folder with line numbers, or list a folder.",
    parameters={
        "type": "object",
        "properties": {
            "file_path": _PATH,
            "offset": {"type": "integer", "description": "First line, from 1."},
            "limit": {"type": "integer", "description": "How many lines (2000)."},
        },
        "required": ["file_path"],
    },
)
_WRITE: Final = ToolSpec(
    name="write_file",
    description="Write a whole text file in the session's folder, in place of what was there.",
    parameters={
        "type": "object",
        "properties": {"file_path": _PATH, "content": {"type": "string", "description": "All of its text."}},
        "required": ["file_path", "content"],
    },
)
_EDIT: Final = ToolSpec(
    name="edit_file",
    description="Replace text in a file of the session's folder. The old text must stand there exactly once.",
    parameters={
        "type": "object",
        "properties": {
            "file_path": _PATH,
            "old_string": {"type": "string", "description": "The text to replace, exactly as it stands."},
            "new_string": {"type": "string", "description": "What takes its place."},
            "replace_all": {"type": "boolean", "description": "Replace every place."},
        },
        "required": ["file_path", "old_string", "new_string"],
    },
)
