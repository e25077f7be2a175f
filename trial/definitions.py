"""What each stage's study is about, and what of it may not change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.storages import RDBStorage

from search_spaces.config import TrialConfig
from search_spaces.space import REFERENCE
from storage.definition import DEFINITION, changes, plain, refuse_changed
from storage.names import CONFIRM, TUNE, sweep_of
from storage.record import TrialRecord, read_records, study_names
from trial.facts import folds_by_date, whole_provenance
from trial.request import Prepared
from trial.tuning import ConfirmArm, Tuned, best_draws, confirm_arms


def tuning_of(storage: RDBStorage, name: str) -> list[TrialRecord]:
    """What the store holds of it."""
    known = study_names(storage)
    return read_records(storage, f"{name}{TUNE}") if f"{name}{TUNE}" in known else []


def arms_to_confirm(prepared: Prepared, best: Mapping[str, Tuned]) -> dict[str, ConfirmArm] | None:
    """With the best draws of a tuning; None where it does not say yet what the reference's is."""
    if prepared.tuned and REFERENCE not in best:
        return None
    return confirm_arms(prepared.space, prepared.arms, prepared.tuned, prepared.points, best)


def definition_of(storage: RDBStorage, study: str, prepared: Prepared) -> dict[str, Any] | None:
    """What a stage's study is about, but for its budget; None where earlier stages have yet to say."""
    common = {
        "space": {"name": prepared.space.name, "file": prepared.space_digest},
        "cells": prepared.market.meta.cells_key,
        "folds": folds_by_date(prepared.market, prepared.splits),
        "reference": _settings(prepared.base),
        "code": whole_provenance()["code"],
    }
    if study.endswith(TUNE):
        arms = {arm: _settings(prepared.arms[arm]) for arm in prepared.tuned}
        knobs = {knob.name: str(knob.range) for knob in prepared.space.knobs}
        return common | {"stage": "tune", "seed": prepared.request.seed, "arms": arms, "knobs": knobs}
    if study.endswith(CONFIRM):
        confirmed = arms_to_confirm(prepared, best_draws(tuning_of(storage, sweep_of(study)), prepared.tuned))
        if confirmed is None:
            return None
        arms = {name: _settings(arm.config) for name, arm in confirmed.items()}
        return common | {"stage": "confirm", "equivalence": prepared.space.equivalence, "arms": arms}
    objectives = [objective.name for objective in prepared.goal.objectives]
    return common | {"stage": "search", "seed": prepared.request.seed, "objectives": objectives}


def refuse_other_definitions(storage: RDBStorage, name: str, prepared: Prepared) -> None:
    """What a start would refuse, found without writing.

    Raises:
        StorageError: a study of that name is about something else.
    """
    if prepared.request.accept_changes:
        return
    known = {study.study_name: study for study in storage.get_all_studies()}
    asked = {"": "search", TUNE: "confirm", CONFIRM: "confirm"}
    for ending, stage in asked.items():
        study = f"{name}{ending}"
        if stage not in prepared.request.stages or study not in known or (ending == TUNE and not prepared.tuned):
            continue
        definition = definition_of(storage, study, prepared)
        if definition is not None:
            has_trials = storage.get_n_trials(known[study]._study_id) > 0
            wanted = plain(definition, prepared.base.train.epochs)
            about = known[study].user_attrs
            refuse_changed(study, changes(about.get(DEFINITION), wanted, has_trials, names_of(about, prepared)))


def names_of(about: Mapping[str, Any], prepared: Prepared) -> dict[str, str]:
    """Of settings whose values are keys, what a reader knows them by.

    Args:
        about: what the study said so far.
        prepared: what is asked for now.
    """
    return {"cells": f"the data that trials see: {about.get('panel_name')} then, {prepared.panel.name} now"}


def _settings(config: TrialConfig) -> dict[str, Any]:
    """All that makes a configuration what it is; its number of epochs is a budget."""
    content = config.model_dump(mode="json", exclude={"seed", "fold", "arm"})
    del content["train"]["epochs"]
    return content
