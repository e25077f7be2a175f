"""Every command that a user starts, in the order of a first week: `python -m MODULE`."""

from __future__ import annotations

from importlib import import_module

import typer

COMMANDS: dict[str, str] = {  # module -> where its app is
    "data.synthetic": "data.commands:synthetic_app",
    "data.inspect": "data.commands:inspect_app",
    "data.prepare": "data.commands:prepare_app",
    "trial.sweep": "trial.sweep:app",
    "trial.status": "trial.status:app",
    "trial.stop": "trial.stop:app",
    "trial.trials": "trial.trials:app",
    "trial.dashboard": "trial.dashboard:app",
    "reports.ablation": "reports.ablation:app",
    "reports.compare": "reports.compare:app",
    "trial.backtest": "trial.backtest:app",
    "trial.holdout": "trial.holdout:app",
    "trial.ensemble": "trial.ensemble:app",
    "trial.export": "trial.export:app",
    "trial.verify": "trial.verify:app",
    "trial.predict": "trial.predict:app",
    "trial.monitor": "trial.monitor:app",
    "trial.daily": "trial.daily:app",
    "trial.registry": "trial.registry:app",
    "trial.retrain": "trial.retrain:app",
    "trial.validate_improvements": "trial.validate_improvements:app",
    "trial.train": "trial.train:app",
    "trial.references": "trial.references:app",
    "trial.reproduce": "trial.reproduce:app",
    "trial.calibrate": "trial.calibrate:app",
    "trial.migrate": "trial.migrate:app",
    "trial.delete": "trial.delete:app",
}


def app_of(module: str) -> typer.Typer:
    """The command's application."""
    place, _, name = COMMANDS[module].partition(":")
    app: typer.Typer = getattr(import_module(place), name)
    return app
