"""The monitor's thresholds as a file: `monitor.yaml` of a bundle, or another one in its place."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from data.errors import DataError
from data.rules import broken_rules, load_yaml
from reports.monitoring.thresholds import Thresholds

THRESHOLDS = "monitor.yaml"


def read_thresholds(path: Path) -> Thresholds:
    """Raises DataError: no such file, no YAML, an unknown threshold, or a value that breaks a rule."""
    try:
        return Thresholds.model_validate(load_yaml(path.read_text()) or {})
    except ValidationError as error:
        wrong = broken_rules(error, Thresholds, "thresholds")
        known = ", ".join(Thresholds.model_fields)
        raise DataError(f"thresholds must be some of {known}, but in {path} {wrong}.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise DataError(f"thresholds need a YAML file that can be read, but {path} is none: {error}") from error
