"""How much each sampled parameter explains of the trials' values (PED-ANOVA, Watanabe et al. 2023)."""

from __future__ import annotations

from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from storage.record import load_study

MIN_TRIALS = 3  # below this any number would be noise with a name


def parameter_importances(storage: RDBStorage, study_name: str) -> dict[str, float]:
    """Parameter -> share, largest first, from COMPLETE trials; empty with fewer than `MIN_TRIALS` of them.

    A parameter that only some trials have is left out: PED-ANOVA compares trials over a common space.
    """
    study = load_study(storage, study_name)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < MIN_TRIALS or len({trial.value for trial in complete}) < 2:
        return {}
    common = set.intersection(*(set(trial.params) for trial in complete))
    varied = sorted(name for name in common if len({trial.params[name] for trial in complete}) > 1)
    if not varied:
        return {}
    return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(), params=varied)
