"""The replay: partition after partition, each policy trains, judges and serves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from include.errors import DataContractError
from include.modelling.metrics import metric_of
from include.modelling.scoring import score_rows
from include.modelling.training_set import TrainingSet
from include.replay.known import History, Known
from include.replay.learn import Learned
from include.replay.monitor import ReplayMonitor
from include.replay.policies import Judge, Policy
from include.retrain_trigger.facts import Champion, Facts, Request, Window, rows_to_learn

log = logging.getLogger(__name__)

Learner = Callable[[Known, TrainingSet], Learned]


@dataclass(frozen=True)
class Promotion:
    """A challenger that became champion.

    Attributes
    ----------
    as_of : str
        The moment, which names the new model.
    instead_of : str or None
        The former one.
    reasons : list of str
        The gate's.
    claimed : float or None
        The gain that the gate vouched for.
    """

    as_of: str
    instead_of: str | None
    reasons: list[str]
    claimed: float | None


@dataclass
class Run:
    """One policy with one gate, as it goes through the history.

    Attributes
    ----------
    policy, gate : str
        Their names.
    served : dict of str to (str or None)
        By partition: the model that served when it came.
    trainings, refused : list of str
        Moments of trainings, and of those that found no model.
    rejected : dict of str to list of str
        Moments at which the gate said no, and why.
    promotions : list of Promotion
        Oldest first.
    """

    policy: str
    gate: str
    served: dict[str, str | None] = field(default_factory=dict)
    trainings: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    rejected: dict[str, list[str]] = field(default_factory=dict)
    promotions: list[Promotion] = field(default_factory=list)
    champion: Learned | None = field(default=None, repr=False)
    scored_by: dict[str, Learned] = field(default_factory=dict, repr=False)
    windows: dict[str, Window] = field(default_factory=dict, repr=False)
    requests: list[Request] = field(default_factory=list, repr=False)
    judged_on: list[str] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Replayed:
    """What came of a replay.

    Attributes
    ----------
    partitions : list of str
        The history.
    runs : list of Run
        One for each policy and gate.
    values : dict of (str, str) to float
        The metric of a model (named by its moment) on a partition, for every model that was trained
        and all partitions that came later.
    models : dict of str to Learned
        These models, by their moment.
    """

    partitions: list[str]
    runs: list[Run]
    values: dict[tuple[str, str], float]
    models: dict[str, Learned] = field(default_factory=dict, repr=False)


def replay(
    history: History,
    policies: Mapping[str, Policy],
    gates: Mapping[str, Judge],
    learner: Learner,
) -> Replayed:
    """Replay a history under each policy with each gate.

    A training depends on its moment alone: it is run once, and shared by all policies that ask for
    it. A model serves from the partition after its promotion. When the labels of a partition come,
    the monitor looks again, and then the policy decides, once for each partition.

    Parameters
    ----------
    history : History
        What is replayed.
    policies, gates : mapping
        By name; each policy is combined with each gate.
    learner : callable
        Trains: `include.replay.learn.learn`.
    """
    runs = [Run(policy, gate) for policy in policies for gate in gates]
    monitor, models = ReplayMonitor(history.use_case), dict[str, Learned]()
    for moment in history.partitions:
        known = history.at(moment)
        training = _Training(known, learner)
        for run in runs:
            # The other policies ask for no findings.
            _serve(run, known, monitor if run.policy == "declared" else None)
            if moment != history.partitions[-1]:  # what is trained then serves nothing
                _train(run, policies[run.policy], gates[run.gate], known, training)
        if training.learned is not None:
            models[moment] = training.learned
        log.info("%s: %s replayed", history.use_case.name, moment)
    return Replayed(history.partitions, runs, _values(history, models), models)


class _Training:
    """The training of one moment, run when the first policy asks for it."""

    def __init__(self, known: Known, learner: Learner) -> None:
        self.learned: Learned | None = None
        self.training_set: TrainingSet | None = None
        self._known, self._learner = known, learner
        self._problem: DataContractError | None = None

    def run(self) -> tuple[Learned, TrainingSet]:
        """Train once; a training that is refused is refused again."""
        if self._problem is not None:
            raise self._problem
        if self.learned is None or self.training_set is None:
            try:
                self.training_set = self._known.training_set()
                self.learned = self._learner(self._known, self.training_set)
            except DataContractError as error:
                self._problem = error
                raise
        return self.learned, self.training_set


def _serve(run: Run, known: Known, monitor: ReplayMonitor | None) -> None:
    """Let the champion score the new partition, and the monitor examine what is new."""
    run.served[known.moment] = run.champion.as_of if run.champion else None
    if monitor is None:
        return
    if run.champion is not None:
        run.scored_by[known.moment] = run.champion
    for partition, model in run.scored_by.items():
        earlier = [
            key for key, other in run.scored_by.items() if other is model and key < partition
        ]
        run.windows[partition] = monitor.window_of(model, partition, known, earlier)


def _train(run: Run, policy: Policy, gate: Judge, known: Known, training: _Training) -> None:
    """Let the policy decide, and the gate judge what was trained."""
    use_case = known.history.use_case
    facts = facts_at(run, known)
    if not policy(facts, use_case).ask:
        return
    run.trainings.append(known.moment)
    try:
        challenger, training_set = training.run()
    except DataContractError as error:
        log.warning("%s: the training as of %s is refused: %s", use_case.name, known.moment, error)
        run.refused.append(known.moment)
        return
    run.requests.append(Request(known.moment, facts.newest, facts.training_set))
    holdout = training_set.holdout_partitions[0]
    run.judged_on.append(holdout)
    look = run.judged_on.count(holdout)
    ruling = gate(use_case, challenger, run.champion, training_set, look)
    if not ruling.promote:
        run.rejected[known.moment] = ruling.reasons
        return
    former = run.champion.as_of if run.champion else None
    run.promotions.append(Promotion(known.moment, former, ruling.reasons, ruling.low))
    run.champion = challenger


def facts_at(run: Run, known: Known) -> Facts:
    """Return what a run's policy may know at a moment.

    Corrected labels are none: the lake has each label as it stands now.
    """
    labelled = known.labelled
    facts = Facts(
        as_of=known.moment,
        labelled=labelled,
        training_set=" ".join(labelled),
        requests=list(run.requests),
        corrected_rows=0,
    )
    if run.champion is None:
        return facts
    known_up_to = run.champion.known_up_to
    max_rows = known.history.use_case.train.max_rows
    rows, new_rows, _ = rows_to_learn(labelled, known.rows(), max_rows, known_up_to)
    return replace(
        facts,
        champion=Champion(run.champion.as_of, run.champion.as_of, known_up_to),
        windows=[run.windows[key] for key in sorted(run.windows) if key > known_up_to],
        rows=rows,
        new_rows=new_rows,
        new_labels=new_rows,  # here a partition's labels come all at once
    )


def _values(history: History, models: Mapping[str, Learned]) -> dict[tuple[str, str], float]:
    metric, use_case = metric_of(history.use_case), history.use_case
    values: dict[tuple[str, str], float] = {}
    for as_of, model in models.items():
        for partition in history.partitions:
            if partition > as_of:
                rows = history.outcomes(partition).rows
                score = score_rows(model.estimator, rows.X, use_case)
                values[as_of, partition] = metric.compute(rows.truth, score, rows.weight)
    return values
