"""Notifications against a local server: both formats, and failures that hurt nobody."""

from __future__ import annotations

import pytest
from optuna.trial import TrialState

from tests.trial.flights import flight
from tests.trial.webhook import Server
from trial.notify import FailureNotice, notify
from trial.order import Outcome
from trial.settings import Settings


def settings(url: str | None, kind: str = "json") -> Settings:
    return Settings(notify_url=url, notify_format=kind)


def test_json_has_every_field(webhook: Server) -> None:
    assert notify(settings(webhook.address), "sweep gat: done", "12 trials")
    (told,) = webhook.heard
    assert told["text"] == "sweep gat: done: 12 trials"
    assert (told["headline"], told["details"]) == ("sweep gat: done", "12 trials")
    assert told["host"]


def test_slack_gets_its_format(webhook: Server) -> None:
    assert notify(settings(webhook.address, "slack"), "sweep gat: done")
    assert webhook.heard == [{"text": "sweep gat: done"}]


def test_an_error_of_the_server_is_a_warning(webhook: Server, caplog: pytest.LogCaptureFixture) -> None:
    webhook.answer = 500
    assert not notify(settings(webhook.address), "done")
    assert "was not delivered" in caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/nobody", "http://nowhere.invalid/x", "http://"])
def test_an_address_that_does_not_answer_is_a_warning(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not notify(settings(url), "done")
    assert "was not delivered" in caplog.text


def test_without_an_address_nobody_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert not notify(settings(None), "done")
    assert caplog.text == ""


def test_the_address_is_a_secret() -> None:
    assert "hooks" not in repr(settings("https://hooks.example/T0/B0/secret"))


def test_the_first_failed_trial_is_told_and_no_other(webhook: Server) -> None:
    notice = FailureNotice(settings(webhook.address))
    for number, state in enumerate((TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL)):
        outcome = Outcome(state, "crash", "RuntimeError: gave up\nTraceback ...")
        notice.after(flight(number, outcome=outcome))
    assert [told["text"] for told in webhook.heard] == ["sweep s: trial 2 failed: RuntimeError: gave up"]
