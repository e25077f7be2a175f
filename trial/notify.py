"""A web address that is told when a run ends or fails; what it answers, or that it does not, never hurts a trial."""

from __future__ import annotations

import json
import logging
import socket
import urllib.error
import urllib.request

from trial.settings import Settings

TIMEOUT_SECONDS = 5.0
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
