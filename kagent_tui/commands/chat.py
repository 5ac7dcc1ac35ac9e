"""The commands of chats with their default keys (reference tui.md, section 6).

The prompt is a text field: what works there are keys that type nothing.
"""

from __future__ import annotations

from typing import Final

from kagent_tui.commands.registry import Command

__all__ = ["CHAT_COMMANDS"]

CHAT_COMMANDS: Final = (
    Command("compose.send", "send", "send what is written; while the agent works, after its turn", "compose",
            ("enter",), footer=10),
    Command("compose.newline", "new line", "begin a new line", "compose", ("ctrl+j", "shift+enter"), footer=20),
    Command("compose.earlier", "earlier", "what was sent before", "compose", ("up",)),
    Command("compose.later", "later", "what was sent after that", "compose", ("down",)),
    Command("transcript.fold", "unfold", "unfold the card, or fold it", "transcript", ("enter", "o"), footer=10),
    Command("transcript.fold-all", "all cards", "unfold all cards, or fold them", "transcript", ("ctrl+o",)),
    Command("transcript.open", "read", "read the card whole", "transcript", ("p",), footer=20),
    Command("transcript.leave", "type", "back to the prompt", "transcript", ("i", "escape", "q"), footer=30),
    Command("decide.approve", "approve", "let the tool run", "decide", ("y",), footer=10),
    Command("decide.reject", "reject", "do not let it run; a reason can follow", "decide", ("n",), footer=20),
    Command("decide.approve-all", "approve all", "let all of them run", "decide", ("A",), footer=30),
    Command("decide.reject-all", "reject all", "let none of them run", "decide", ("R",), footer=40),
    Command("sessions.open", "resume", "go on with the session in a chat", "sessions", ("enter", "c"), footer=10),
    Command("sessions.rename", "rename", "give it another title", "sessions", ("r",), footer=30),
    Command("sessions.delete", "delete", "delete it with all that was said in it", "sessions", ("D",), footer=40),
    Command("sessions.export", "save", "save it as Markdown", "sessions", ("w",), footer=20),
    Command("sessions.export-json", "save as JSON", "save it as JSON", "sessions", ("W",)),
    Command("sessions.reload", "reload", "ask the gateway again", "sessions", ("R",)),
    Command("inbox.decide", "decide", "see what it wants to do, and approve or reject it", "inbox", ("enter",),
            footer=10),
    Command("inbox.chat", "chat", "go to the chat that waits", "inbox", ("c",), footer=20),
    Command("inbox.reload", "reload", "ask the gateway again now", "inbox", ("R",), footer=30),
    Command("rows.filter", "filter", "keep rows: text, regex, !not, -f fuzzy", "rows", ("/",), footer=50),
    Command("rows.back", "back", "clear the filter, then go back", "rows", ("escape", "q"), footer=60),
    Command("chat.switch", "transcript", "go between prompt and transcript", "chat", ("tab",), footer=50),
    Command("chat.interrupt", "stop", "twice: stop the agent; idle: leave the chats", "chat", ("escape",), footer=60),
    Command("chat.cards", "cards", "unfold all cards, or fold them", "chat", ("ctrl+o",), footer=55),
    Command("chat.copy", "copy", "copy the last answer to the terminal's clipboard", "chat", ("ctrl+y",), footer=65),
    Command("chat.new", "new chat", "begin a new session with this agent", "chat", ("ctrl+n",), footer=70),
    Command("chat.split", "split", "another chat beside this one", "chat", ("ctrl+t",), footer=75),
    Command("chat.next-pane", "pane", "go to the next pane", "chat", ("ctrl+w",), footer=80),
    Command("chat.close-pane", "close", "close this pane; a running task goes on", "chat", ("ctrl+x",)),
    Command("chat.leave", "back", "leave the chats; they go on", "chat", ("f10",)),
)  # fmt: skip
