"""The commands of the dashboard with their default keys (reference tui.md, section 6)."""

from __future__ import annotations

from typing import Final

from kagent_tui.commands.chat import CHAT_COMMANDS
from kagent_tui.commands.editing import EDITING_COMMANDS
from kagent_tui.commands.registry import Command, Registry

__all__ = ["COMMANDS"]

_APP = (
    Command("app.command", "cmd", "type a command", "app", (":",), footer=36),
    Command("app.help", "keys", "show keys and commands", "app", ("?", "f1"), ("help", "h"), footer=90),
    Command("app.which-key", "which key", "the keys that do something here; the next key does its thing", "app",
            ("K", "f9")),
    Command("app.jump", "jump", "letters on all that is in sight: the next key goes there", "app", ("f",)),
    Command("app.pulse", "pulse", "the health of everything at a glance", "app", ("P",), ("pulse", "health")),
    Command("app.favourite-1", "favourite", "1 to 9: a favourite namespace; 0: all of them", "app", ("1",), (), "",
            does="favourite(1)"),
    *(Command(f"app.favourite-{n}", f"favourite {n}", "", "app", (str(n),), does=f"favourite({n})")
      for n in (*range(2, 10), 0)),
    Command("app.agents", "agents", "the table of agents", "app", (), ("agents", "agent", "ag", "a"), "[FILTER]"),
    Command(
        "app.models", "models", "the table of models", "app", (), ("models", "model", "mc", "modelconfigs"), "[FILTER]"
    ),
    Command(
        "app.mcp", "mcp", "the table of MCP servers", "app", (), ("mcp", "servers", "rmcps", "mcpservers"), "[FILTER]"
    ),
    Command(
        "app.providers", "providers", "the table of model providers", "app", (),
        ("providers", "provider", "mprov", "modelproviderconfigs"), "[FILTER]",
    ),
    Command("app.prompts", "prompts", "the table of prompt libraries", "app", (), ("prompts", "prompt", "libraries"),
            "[FILTER]"),
    Command("app.sessions", "sessions", "the sessions of all agents", "app", (), ("sessions", "session"), "[FILTER]"),
    Command(
        "app.approvals", "approvals", "what waits for your decision", "app", ("A",), ("approvals", "inbox"), footer=85
    ),
    Command("app.chats", "chats", "the chats as they were left", "app", (), ("chats",)),
    Command("app.user", "user", "say as whom you talk to agents", "app", (), ("user",), "NAME"),
    Command("app.audit", "audit", "the decisions made on this machine", "app", (), ("audit",)),
    Command("app.ns", "ns", "choose namespaces", "app", ("n",), ("ns", "namespace", "n"), "NAME[,NAME]|all", footer=70),
    Command("app.ctx", "ctx", "choose a context", "app", (), ("ctx", "context", "contexts"), "[NAME]"),
    Command("app.fleet", "fleet", "several contexts at once; without names all of the kubeconfig", "app", (),
            ("fleet",), "[NAME,NAME]"),
    Command("app.readonly", "read-only", "switch writing off and on", "app", ("f2",), ("readonly", "ro"), "[on|off]"),
    Command("app.resync", "resync", "read everything again", "app", ("ctrl+r",), ("resync", "reconnect")),
    Command("app.theme", "theme", "choose colours", "app", (), ("theme", "skin"), "NAME"),
    Command("app.dump", "dump", "save the screen as a picture (SVG)", "app", (), ("dump", "sd"), "[FILE]"),
    Command("app.suspend-process", "suspend", "go back to the shell for a while", "app", ("ctrl+z",), ("suspend",)),
    Command("app.leave", "quit", "leave kagent-tui", "app", ("ctrl+q",), ("q", "q!", "quit", "exit"), footer=95),
    Command("app.interrupt", "how to leave", "say which key leaves", "app", ("ctrl+c",)),
)  # fmt: skip

_BROWSE = (
    Command("browse.open", "open", "open what is under the cursor", "browse", ("enter",), footer=10),
    Command("browse.describe", "detail", "show or hide the detail pane", "browse", ("d",), ("describe",), footer=20),
    Command("browse.chat", "chat", "chat with the agent", "browse", ("c",), ("chat",), footer=15),
    Command("browse.chat-beside", "chat beside", "chat with the agent in a pane beside the others", "browse", ("C",)),
    Command("browse.sessions", "sessions", "the sessions of the agent", "browse", ("S",)),
    Command("browse.edit", "edit", "edit in a form or as YAML", "browse", ("e",), ("edit",), "", True, footer=30),
    Command("browse.editor", "$EDITOR", "edit as YAML in $EDITOR", "browse", ("E",), ("editor",), "", True),
    Command("browse.yaml", "yaml", "show the YAML", "browse", ("y",), ("yaml",), footer=48),
    Command(
        "browse.why", "why", "why is it not ready: the chain of what it needs", "browse", ("x",), ("why",), footer=45
    ),
    Command("browse.xray", "x-ray", "the trees of what it needs and what uses it", "browse", ("X",), ("xray", "tree")),
    Command("browse.used-by", "used by", "what uses it, directly and by way of others", "browse", ("u",), ("usedby",)),
    Command("browse.pods", "pods", "its Deployment, Pods and events", "browse", ("p",), ("pods", "events"), footer=57),
    Command(
        "browse.mark", "mark", "mark the row: copy, chat and delete then take all that are marked", "browse", ("space",)
    ),
    Command("browse.mark-all", "mark all", "mark all rows shown, or none", "browse", ("*",)),
    Command("browse.logs", "logs", "the log of its Pods", "browse", ("l",), ("logs", "log"), footer=40),
    Command("browse.delete", "delete", "delete it, after its name is typed", "browse", ("D",), ("delete",), "", True),
    Command(
        "browse.new",
        "new",
        "make a new object from a template",
        "browse",
        ("N",),
        ("new", "create"),
        "[TEMPLATE]",
        True,
    ),
    Command("browse.filter", "filter", "keep rows: text, regex, !not, -l label, -f fuzzy", "browse", ("/",), footer=35),
    Command("browse.sort", "sort", "sort by a column", "browse", ("s",), ("sort",), "COLUMN", footer=60),
    Command("browse.next-view", "next view", "the next table", "browse", ("right", ">")),
    Command("browse.previous-view", "previous view", "the table before", "browse", ("left", "<")),
    Command("browse.last-view", "last view", "the view before this one", "browse", ("-",), ("last",)),
    Command("browse.history-back", "history back", "views and filters as they were before", "browse", ("[",)),
    Command("browse.history-forward", "history forward", "and on again", "browse", ("]",)),
    Command("browse.pane", "other pane", "go between table and detail", "browse", ("tab",)),
    Command("browse.copy", "copy", "copy the name to the terminal's clipboard", "browse", ("Y",), ("copy",)),
    Command("browse.back", "back", "close the filter, then the detail pane", "browse", ("escape",)),
    Command(
        "browse.leave",
        "quit",
        "leave kagent-tui; a detail that fills the screen is closed first",
        "browse",
        ("q",),
        footer=94,
    ),
)

_MOVE = (
    Command("move.down", "down", "down", "move", ("j", "down")),
    Command("move.up", "up", "up", "move", ("k", "up")),
    Command("move.first", "first", "to the first line", "move", ("g", "home")),
    Command("move.last", "last", "to the last line", "move", ("G", "end")),
    Command("move.page-down", "page down", "a page down", "move", ("ctrl+f", "pagedown")),
    Command("move.page-up", "page up", "a page up", "move", ("ctrl+b", "pageup")),
)

_TEXT = (
    Command("text.back", "back", "go back", "text", ("escape", "q"), footer=10),
    Command("text.follow-link", "open", "open what the line names", "text", ("enter",), footer=20),
    Command("text.search", "search", "search in the text", "text", ("/",), footer=30),
    Command("text.next-hit", "next", "the next place found", "text", ("n",)),
    Command("text.previous-hit", "previous", "the place found before", "text", ("N",)),
    Command("text.page", "page down", "a page down", "text", ("space",)),
    Command("text.wrap", "wrap", "wrap long lines or not", "text", ("w",), footer=40),
    Command("text.copy", "copy", "copy the text to the terminal's clipboard", "text", ("Y",), footer=50),
)

_LOGS = (
    Command("logs.follow", "follow", "follow the end, or stand still", "logs", ("f",), footer=12),
    Command("logs.previous", "previous", "the log of the container before its last restart", "logs", ("p",), footer=14),
    Command("logs.other", "next Pod", "the next container or Pod", "logs", ("tab",), footer=16),
    Command("logs.since", "since", "since when: 500 lines, 5 minutes, an hour, a day", "logs", ("t",), footer=18),
    Command("logs.mark", "mark", "draw a line here, to see what comes after it", "logs", ("m",), footer=19),
    Command("logs.save", "save", "save what is here to a file", "logs", ("ctrl+s",), footer=55),
)

COMMANDS: Final = Registry((*_BROWSE, *_MOVE, *_TEXT, *_LOGS, *EDITING_COMMANDS, *CHAT_COMMANDS, *_APP))
