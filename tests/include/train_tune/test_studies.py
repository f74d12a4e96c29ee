import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from include.errors import ServiceUnavailable
from include.modelling.estimators import Params, defaults, suggest
from include.train_tune.studies import (
    NUMBER,
    PARAMS,
    begin,
    best,
    completed,
    count_completed,
    open_study,
    opened,
)
from include.use_cases.schema import UseCase
from tests.support.packages import TINY, tiny_use_case

USE_CASE = tiny_use_case()
SPACE = USE_CASE.train.candidates[0]


def _race(url: str, number: int, start: Barrier) -> None:
    start.wait()
    with opened(url) as storage:
        study = open_study(storage, USE_CASE, "run", SPACE, number)
        _done(study, number, 0.5 + number / 10)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/optuna.db"


def _done(study: optuna.Study, number: int, value: float) -> None:
    trial = study.ask()
    trial.set_user_attr(NUMBER, number)
    trial.set_user_attr(PARAMS, suggest(trial, SPACE))
    study.tell(trial, value)


def test_processes_that_find_no_database_all_get_their_trial_in(url):
    fork = multiprocessing.get_context("fork")  # as Airflow starts tasks
    start = fork.Barrier(3)
    racers = [fork.Process(target=_race, args=(url, number, start)) for number in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)

    assert [racer.exitcode for racer in racers] == [0, 0, 0]
    with opened(url) as storage:
        study = open_study(storage, USE_CASE, "run", SPACE)
        assert sorted(trial.user_attrs[NUMBER] for trial in study.trials) == [0, 1, 2]
        assert best(study)[0] == pytest.approx(0.7)


def test_trial_zero_is_the_middle_of_every_range(url):
    with opened(url) as storage:
        trial = open_study(storage, USE_CASE, "run", SPACE, number=0).ask()
        assert suggest(trial, SPACE) == defaults(SPACE)


def test_other_trials_draw_differently_and_alike_when_done_again(url, tmp_path):
    def drawn(address: str, number: int) -> float:
        with opened(address) as storage:
            trial = open_study(storage, USE_CASE, "run", SPACE, number=number).ask()
            return suggest(trial, SPACE)["C"]

    first, second = drawn(url, 1), drawn(url, 2)
    assert first != second
    assert drawn(f"sqlite:///{tmp_path}/again.db", 1) == first


def test_a_completed_trial_is_found_and_a_killed_one_is_done_with(url):
    with opened(url) as storage:
        study = open_study(storage, USE_CASE, "run", SPACE)
        assert completed(study, 0) is None
        _done(study, 0, 0.7)
        killed = study.ask()
        killed.set_user_attr(NUMBER, 1)

        assert completed(study, 0).values == [0.7]
        assert completed(study, 1) is None
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.FAIL]
        with pytest.raises(ValueError, match=r"(?i)finished|cannot tell"):
            study.tell(killed, 0.99)  # the killed process lived on


def _killed(url: str, use_case: UseCase, number: int) -> Params:
    """Begin a trial as a process does that is killed then: it stays running; gives what it drew."""
    with opened(url) as storage:
        study = open_study(storage, use_case, "run", use_case.train.candidates[0], number)
        trial = begin(study, use_case.train.candidates[0], number)
        return dict(trial.user_attrs[PARAMS])


def _complete(url: str, use_case: UseCase, number: int, value: float) -> Params:
    """Run a trial to its end, as `run_trial` does; gives what it drew."""
    with opened(url) as storage:
        space = use_case.train.candidates[0]
        study = open_study(storage, use_case, "run", space, number)
        assert completed(study, number) is None
        trial = begin(study, space, number)
        study.tell(trial, value)
        return dict(trial.user_attrs[PARAMS])


WIDE = {
    "estimator": "hist_gradient_boosting",
    "learning_rate": {"low": 0.01, "high": 0.5, "log": True},
    "max_leaf_nodes": {"low": 4, "high": 64},
    "max_iter": 10,
}


def _tuned(sampler: str, candidate: dict) -> UseCase:
    train = {**TINY["train"], "candidates": [candidate]}
    return tiny_use_case(train={**train, "tuning": {"trials": 12, "sampler": sampler}})


@pytest.mark.parametrize(
    ("sampler", "candidate"),
    [("random", {"estimator": "logistic_regression"}), ("tpe", WIDE)],
)
@pytest.mark.parametrize("number", [0, 1, 11])
def test_a_killed_trial_has_the_same_parameters_again_whatever_ended_since(
    url, sampler, candidate, number
):
    use_case = _tuned(sampler, candidate)
    for other in range(2, 8):  # TPE has explored by then, and draws from what it has seen
        _complete(url, use_case, other, 0.5 + other / 100)
    drawn = _killed(url, use_case, number)
    for other in (8, 9, 10):
        _complete(url, use_case, other, 0.9 - other / 100)

    assert _complete(url, use_case, number, 0.7) == drawn

    with opened(url) as storage:
        study = open_study(storage, use_case, "run", use_case.train.candidates[0], number)
        own = [trial for trial in study.trials if trial.user_attrs[NUMBER] == number]
        assert [trial.state for trial in own] == [TrialState.FAIL, TrialState.COMPLETE]
        assert own[0].params == own[1].params
        assert count_completed(study) == 10
        assert completed(study, number).user_attrs[PARAMS] == drawn


def test_tpe_would_draw_differently_after_other_trials_ended(url, tmp_path):
    """The oracle of the test above: without the memory of the first draw it would fail."""
    use_case, other = _tuned("tpe", WIDE), f"sqlite:///{tmp_path}/never_killed.db"
    for address in (url, other):
        for number in range(2, 8):
            _complete(address, use_case, number, 0.5 + number / 100)
    before = _killed(url, use_case, 11)
    for number in (8, 9, 10):
        _complete(other, use_case, number, 0.9 - number / 100)
    assert _complete(other, use_case, 11, 0.7) != before


def test_a_trial_killed_several_times_keeps_its_first_parameters(url):
    use_case = _tuned("tpe", WIDE)
    drawn = [_killed(url, use_case, 3)]
    for value, number in enumerate((4, 5, 6, 7)):
        _complete(url, use_case, number, value / 10)
        with opened(url) as storage:
            completed(open_study(storage, use_case, "run", use_case.train.candidates[0], 3), 3)
        drawn.append(_killed(url, use_case, 3))
    assert drawn == [drawn[0]] * 5


def test_only_completed_trials_are_counted(url):
    with opened(url) as storage:
        study = open_study(storage, USE_CASE, "run", SPACE)
        assert count_completed(study) == 0
        for number in range(3):
            _done(study, number, 0.5)
        study.tell(begin(study, SPACE, 3), state=TrialState.FAIL)
        begin(study, SPACE, 4)
        assert count_completed(study) == 3


@pytest.mark.parametrize(("task", "expected"), [("classification", 0.8), ("regression", 0.2)])
def test_the_best_follows_the_metrics_sign_and_equals_go_to_the_first(url, task, expected):
    use_case = tiny_use_case(task)
    with opened(url) as storage:
        study = open_study(storage, use_case, "run", SPACE)
        assert best(study) is None
        for number, value in [(2, 0.8), (1, 0.8), (0, 0.5), (4, 0.2), (3, 0.2)]:
            _done(study, number, value)
        first = min(t.user_attrs[NUMBER] for t in study.trials if t.values == [expected])
        chosen = next(t for t in study.trials if t.user_attrs[NUMBER] == first)
        assert best(study) == (expected, chosen.user_attrs[PARAMS])


def test_trainings_do_not_share_trials(url):
    with opened(url) as storage:
        _done(open_study(storage, USE_CASE, "one", SPACE), 0, 0.9)
        assert best(open_study(storage, USE_CASE, "two", SPACE)) is None


def test_a_database_that_cannot_be_opened_is_unavailable_and_its_setting_named(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("include.train_tune.studies._TRIES", 2)
    with (
        pytest.raises(ServiceUnavailable, match=r"(?s)within 2 tries.*FLYWHEEL_OPTUNA_STORAGE"),
        opened(f"sqlite:///{tmp_path}/no/such/folder/optuna.db"),
    ):
        pass
