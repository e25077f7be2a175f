"""Notifications against a local server: both formats, and failures that hurt nobody."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from trial.notify import notify
from trial.settings import Settings


class Server(HTTPServer):
    heard: list[dict[str, Any]]
    answer: int


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append(json.loads(body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.heard, server.answer = [], 200
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def settings(url: str | None, kind: str = "json") -> Settings:
    return Settings(notify_url=url, notify_format=kind)


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/hook"


def test_json_has_every_field(server: Server) -> None:
    assert notify(settings(address(server)), "sweep gat: done", "12 trials")
    (told,) = server.heard
    assert told["text"] == "sweep gat: done: 12 trials"
    assert (told["headline"], told["details"]) == ("sweep gat: done", "12 trials")
    assert told["host"]


def test_slack_gets_its_format(server: Server) -> None:
    assert notify(settings(address(server), "slack"), "sweep gat: done")
    assert server.heard == [{"text": "sweep gat: done"}]


def test_an_error_of_the_server_is_a_warning(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answer = 500
    assert not notify(settings(address(server)), "done")
    assert "was not delivered" in caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/nobody", "nonsense", "ftp://127.0.0.1/x"])
def test_an_address_that_does_not_answer_is_a_warning(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not notify(settings(url), "done")
    assert "was not delivered" in caplog.text


def test_without_an_address_nobody_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert not notify(settings(None), "done")
    assert caplog.text == ""


def test_the_address_is_a_secret() -> None:
    assert "hooks" not in repr(settings("https://hooks.example/T0/B0/secret"))
