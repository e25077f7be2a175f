"""A web address that is told when a run ends or a trial fails; what it answers, or that it does not, hurts no trial."""

from __future__ import annotations

import json
import logging
import socket
import urllib.error
import urllib.request

from optuna.trial import TrialState

from trial.order import Flight
from trial.settings import Settings

TIMEOUT_SECONDS = 5.0  # so long may it keep the driver
logger = logging.getLogger(__name__)


def notify(settings: Settings, headline: str, details: str = "") -> bool:
    """Posts the message as JSON, in Slack's format where the settings say so; whether it arrived.

    Without an address nobody is told, and nothing has failed.
    """
    if settings.notify_url is None:
        return False
    text = f"{headline}: {details}" if details else headline
    content = {"text": text}
    if settings.notify_format == "json":
        content |= {"headline": headline, "details": details, "host": socket.gethostname()}
    body, headers = json.dumps(content).encode(), {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(settings.notify_url.get_secret_value(), data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            return True
    except (OSError, ValueError, urllib.error.URLError) as error:  # a ValueError: no such kind of address
        logger.warning("the notification was not delivered: %s", error)
        return False


class FailureNotice:
    """Tells of the first trial that is a FAIL, and of no other: where one fails, often all do."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._has_told = settings, False

    def after(self, flight: Flight) -> None:
        """Looks at a trial that has just been told to the store."""
        outcome = flight.outcome
        if self._has_told or outcome is None or outcome.state is not TrialState.FAIL:
            return
        self._has_told = True
        first_line = outcome.sentence.partition("\n")[0]
        notify(self._settings, f"sweep {flight.order.study}: trial {flight.order.number} failed", first_line)
