"""Translation of a container's words to this machine, where all Pods share one network and one file system.

Only whole values are rewritten: a declared port, an address to bind, a mount path. A number inside other text, a URL of
another host, or a port that the Pod does not declare stays as it is: guessing would break programs that are right.

| in args or env                          | becomes                                              |
|-----------------------------------------|------------------------------------------------------|
| ``8080``, ``:8080``, ``--port=8080``    | the port this Pod got for its 8080                   |
| ``0.0.0.0``, ``::``, ``[::]:8080``      | ``127.0.0.1``, ``127.0.0.1:PORT``                    |
| ``http://localhost:8080/x``             | ``http://localhost:PORT/x``                          |
| ``/config``, ``--file=/config/a``       | the directory behind the mount                       |
| ``sh -c "cat /config/a"``               | the script's words, each as if it stood alone        |
| ``http://other.ns:8080``, ``8081``      | unchanged                                            |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["expand", "translate", "translate_command"]

ADDRESS = re.compile(
    r"(?P<flag>--?[\w.-]+=)?(?P<scheme>https?://)?(?P<host>0\.0\.0\.0|127\.0\.0\.1|localhost|\[::\]|\[::1\]|::|\*)?"
    r"(?P<colon>:)?(?P<port>\d{1,5})?(?P<path>/\S*)?"
)
EVERY_ADDRESS = {"0.0.0.0", "[::]", "::", "*"}  # noqa: S104 - recognised, never bound
SHELLS = frozenset({"ash", "bash", "dash", "ksh", "sh", "zsh"})
SCRIPT_OPTION = re.compile(r"-[a-z]*c")  # -c, -ec, -lc
# A word begins where the shell begins one: "$DIR"/config and ${DIR}/config name other places than /config.
SCRIPT_WORD = re.compile(r"""(?:^|(?<=[\s;|&<>(`])|(?<=^["'])|(?<=[\s;|&<>(`]["']))[^\s"'`;|&<>()$\\]+""")
REFERENCE = re.compile(r"\$\$|\$\((?P<name>[^)]*)\)", re.DOTALL)


def translate(tokens: Sequence[str], ports: Mapping[int, int], mounts: Mapping[str, str]) -> list[str]:
    """Return the tokens with declared ports, bind addresses and mount paths replaced where they are whole values.

    ``ports`` maps container ports to real ones, ``mounts`` mount paths to real directories.
    """
    return [_address(token, ports) or _path(token, mounts) for token in tokens]


def translate_command(argv: Sequence[str], ports: Mapping[int, int], mounts: Mapping[str, str]) -> list[str]:
    """Return a command line with its tokens translated, and the words of the script where it is a shell's ``-c``."""
    translated = translate(argv, ports, mounts)
    if argv and argv[0].rpartition("/")[2] in SHELLS:
        option = next((index for index, word in enumerate(argv) if SCRIPT_OPTION.fullmatch(word)), len(argv))
        if option + 1 < len(argv):
            script = argv[option + 1]
            translated[option + 1] = SCRIPT_WORD.sub(lambda word: translate([word[0]], ports, mounts)[0], script)
    return translated


def expand(value: str, variables: Mapping[str, str]) -> str:
    """Expand ``$(NAME)`` as Kubernetes does: unknown names stay, ``$$`` is a dollar sign.

    A name reaches to the first closing bracket, so that ``$(echo $(NAME))`` is one unknown name and stays as it is.
    """
    return REFERENCE.sub(lambda match: "$" if match[0] == "$$" else variables.get(match["name"], match[0]), value)


def _address(token: str, ports: Mapping[int, int]) -> str | None:
    match = ADDRESS.fullmatch(token)
    if match is None or not (match["host"] or match["port"]):
        return None
    port = match["port"]
    if match["path"] and not match["scheme"]:
        return None
    if port and match["host"] and not match["colon"]:
        return None
    if match["colon"] and not port:
        return None
    if port and int(port) not in ports:
        return None
    if match["scheme"] and not match["host"]:
        return None
    host = match["host"] or ""
    if host == "*" and not port:
        return None  # a lone star is a pattern, not an address
    host = "127.0.0.1" if host in EVERY_ADDRESS else host
    real = str(ports[int(port)]) if port else ""
    return f"{match['flag'] or ''}{match['scheme'] or ''}{host}{match['colon'] or ''}{real}{match['path'] or ''}"


def _path(token: str, mounts: Mapping[str, str]) -> str:
    for mount in sorted(mounts, key=len, reverse=True):
        pattern = rf"(?P<before>^|[=:,]){re.escape(mount.rstrip('/'))}(?=/|$|[:,])"
        replaced = re.sub(pattern, lambda match, mount=mount: match["before"] + mounts[mount].rstrip("/"), token)
        if replaced != token:
            return replaced
    return token
