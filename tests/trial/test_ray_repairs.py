"""What is mended in Tune: nothing of an ended trial stays with it."""

from __future__ import annotations

from ray.tune.experiment import Trial

from trial.ray_repairs import forget, write_no_ended_trials

ORDER = "the order, " * 100


def a_trial() -> Trial:
    trial = Trial("worker", config={"order": ORDER}, evaluated_params={"order": ORDER}, stub=True)
    trial.set_experiment_tag(f"1_order={ORDER}")
    trial.update_last_result({"value": 0.5, "training_iteration": 1, "order": ORDER})
    return trial


def test_a_trial_that_ended_is_forgotten() -> None:
    trial = a_trial()
    assert ORDER in str(vars(trial))
    forget(trial)
    assert ORDER not in str(vars(trial)) + str(vars(trial.run_metadata))
    assert trial.last_result["done"]


def test_tunes_checkpoint_has_no_ended_trial() -> None:
    write_no_ended_trials()
    trial = a_trial()
    trial.set_status(Trial.RUNNING)
    assert trial.trial_id in trial.get_json_state()[0]
    trial.set_status(Trial.TERMINATED)
    assert trial.get_json_state() == ("{}", "{}")
