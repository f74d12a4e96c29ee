"""The table of a replay: metric, trainings, promotions and regret of each policy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

from include.errors import DataContractError
from include.modelling.metrics import Metric, metric_of
from include.replay.run import Promotion, Replayed, Run
from include.use_cases.schema import UseCase

ORACLE = "oracle"
REFERENCE = ("every partition", "no gate")
"""What the others are compared with: the simplest policy that keeps a model fresh."""


@dataclass(frozen=True)
class Difference:
    """A mean over partitions of paired differences; `standard_error` is None for one partition."""

    mean: float
    standard_error: float | None

    @classmethod
    def of(cls, gains: Sequence[float]) -> Difference:
        """Take the mean and its standard error, with partitions as independent units.

        Examples
        --------
        >>> Difference.of([1.0, 3.0])
        Difference(mean=2.0, standard_error=1.0)
        """
        error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else None
        return cls(fmean(gains), error)


@dataclass(frozen=True)
class Line:
    """One policy with one gate.

    Attributes
    ----------
    policy, gate : str
        Which.
    mean : float
        Mean metric of what served, over the partitions compared.
    trainings, promotions : int
        How many there were in the whole replay.
    regret : Difference
        How much better the oracle would have been; at least 0.
    against : Difference
        How much better than `REFERENCE`; negative if worse.
    by_partition : dict of str to float
        The metric of what served when the partition came.
    """

    policy: str
    gate: str
    mean: float
    trainings: int
    promotions: int
    regret: Difference
    against: Difference
    by_partition: dict[str, float]


@dataclass(frozen=True)
class Paid:
    """By how much a promotion improved the metric on the next partition.

    Attributes
    ----------
    policy, gate, as_of : str
        Whose promotion, and when.
    claimed : float or None
        The gain that the gate vouched for.
    gain : float
        On the next partition, over the model before it.
    """

    policy: str
    gate: str
    as_of: str
    claimed: float | None
    gain: float


@dataclass(frozen=True)
class Report:
    """What `make replay` prints.

    Attributes
    ----------
    use_case, metric : str
        What was replayed, and by what it is judged.
    greater_is_better : bool
        How to read the metric.
    label_delay : int
        Partitions after which labels came.
    partitions : list of str
        Those compared: under every policy a model served when they came.
    lines : list of Line
        The oracle last.
    paid : list of Paid
        Every promotion that replaced a model.
    """

    use_case: str
    metric: str
    greater_is_better: bool
    label_delay: int
    partitions: list[str]
    lines: list[Line]
    paid: list[Paid]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def report_on(use_case: UseCase, replayed: Replayed, label_delay: int) -> Report:
    """Compare the runs of a replay.

    The oracle knows the future: on each partition it is the best of all models that any policy had
    trained by then. No policy can beat it, and no gate can help it.

    Raises
    ------
    DataContractError
        There is no partition on which a model served under every policy.
    """
    metric = metric_of(use_case)
    compared = [
        key
        for key in replayed.partitions
        if all(_value(run, replayed, key) is not None for run in replayed.runs)
    ]
    if not compared:
        raise DataContractError(
            f"{use_case.name}: a replay needs a partition that came after the first promotion of "
            f"every policy, {len(replayed.partitions)} partitions have none. Land a longer history."
        )
    best = {key: _oracle(metric, replayed, key) for key in compared}
    oracle = {key: value for key, (value, _) in best.items()}
    used = [model for _, model in best.values()]
    served = {
        (run.policy, run.gate): {
            key: value for key in compared if (value := _value(run, replayed, key)) is not None
        }
        for run in replayed.runs
    }
    reference = served[REFERENCE]

    def line(
        policy: str, gate: str, values: Mapping[str, float], trainings: int, promotions: int
    ) -> Line:
        return Line(
            policy=policy,
            gate=gate,
            mean=fmean(values.values()),
            trainings=trainings,
            promotions=promotions,
            regret=Difference.of([metric.gain(oracle[key], values[key]) for key in compared]),
            against=Difference.of([metric.gain(values[key], reference[key]) for key in compared]),
            by_partition=dict(values),
        )

    lines = [
        line(
            run.policy,
            run.gate,
            served[run.policy, run.gate],
            len(run.trainings),
            len(run.promotions),
        )
        for run in replayed.runs
    ]
    changes = sum(one != other for one, other in pairwise(used))
    lines.append(line(ORACLE, "", oracle, len(set(used)), 1 + changes))
    return Report(
        use_case=use_case.name,
        metric=metric.name,
        greater_is_better=metric.greater_is_better,
        label_delay=label_delay,
        partitions=compared,
        lines=lines,
        paid=[
            paid
            for run in replayed.runs
            for promotion in run.promotions
            if (paid := _paid(metric, run, promotion, replayed)) is not None
        ],
    )


def text_of(report: Report) -> str:
    """Write the table, and below it what the gate's promotions brought."""
    first, last = report.partitions[0], report.partitions[-1]
    better = "higher" if report.greater_is_better else "lower"
    lines = [
        f"{report.use_case}: {report.metric} ({better} is better) of what served, mean of"
        f" {len(report.partitions)} partitions, {first} to {last}; {_delay(report)}",
        "",
        f"{'policy':<16}{'gate':<10}{report.metric:>10}{'trainings':>11}{'promotions':>12}"
        f"{'regret':>20}{'against every, no gate':>26}",
    ]
    lines += [
        f"{one.policy:<16}{one.gate:<10}{one.mean:>10.4f}{one.trainings:>11}{one.promotions:>12}"
        f"{_said(one.regret):>20}{_said(one.against):>26}"
        for one in report.lines
    ]
    lines += ["", "± one standard error, over partitions. The oracle knows the future."]
    claimed = [(one.claimed, one.gain) for one in report.paid if one.claimed is not None]
    if claimed:
        lines += [
            f"Promotions that replaced a model: {len(claimed)}. The gate vouched for a gain above"
            f" {fmean(low for low, _ in claimed):+.4f} on average; the next partition brought"
            f" {fmean(gain for _, gain in claimed):+.4f}."
        ]
    return "\n".join(lines)


def _delay(report: Report) -> str:
    if report.label_delay == 0:
        return "labels come with their rows"
    partitions = "partition" if report.label_delay == 1 else "partitions"
    return f"labels come {report.label_delay} {partitions} later"


def _said(difference: Difference) -> str:
    error = difference.standard_error
    return f"{difference.mean:+.4f}" + ("" if error is None else f" ± {error:.4f}")


def _value(run: Run, replayed: Replayed, partition: str) -> float | None:
    model = run.served.get(partition)
    return None if model is None else _finite(replayed.values[model, partition])


def _oracle(metric: Metric, replayed: Replayed, partition: str) -> tuple[float, str]:
    """Return the best value on a partition, and the model that has it; ties go to the newest."""
    candidates = [
        (value, model)
        for (model, key), value in replayed.values.items()
        if key == partition and _finite(value) is not None
    ]
    return max(candidates, key=lambda one: (metric.gain(one[0], 0.0), one[1]))


def _paid(metric: Metric, run: Run, promotion: Promotion, replayed: Replayed) -> Paid | None:
    """Measure a promotion on the next partition; None for a first model, and at the end."""
    later = [key for key in replayed.partitions if key > promotion.as_of]
    if promotion.instead_of is None or not later:
        return None
    new, old = (
        _finite(replayed.values[model, later[0]])
        for model in (promotion.as_of, promotion.instead_of)
    )
    if new is None or old is None:
        return None
    return Paid(run.policy, run.gate, promotion.as_of, promotion.claimed, metric.gain(new, old))


def _finite(value: float) -> float | None:
    """Return a value, None where the metric is not defined."""
    return value if math.isfinite(value) else None
