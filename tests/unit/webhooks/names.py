"""Answers of the name service, as tests need them."""

import socket
from collections.abc import Callable
from typing import Any

import pytest


class Names:
    """Stands at ``socket.getaddrinfo``, the border to the machine's name service.

    ``answers``: name -> the answers to one look-up after another, each a list of addresses; the
    last one stays. An answer can be an error, which is raised. ``asked``: the names that were
    looked up.
    """

    def __init__(self, answers: dict[str, list[Any]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def look_up(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        self.asked.append(name)
        left = self.answers[name]
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer()
        return [(family_of(one), socket.SOCK_STREAM, 6, "", (one, port)) for one in answer]


SetNames = Callable[[dict[str, list[Any]]], Names]


def family_of(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def set_names(monkeypatch: pytest.MonkeyPatch) -> SetNames:
    def put(answers: dict[str, list[Any]]) -> Names:
        names = Names(answers)
        monkeypatch.setattr(socket, "getaddrinfo", names.look_up)
        return names

    return put


UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
UNAVAILABLE = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
