"""What a verdict rests on: models are fitted, scored and compared here; nothing is decided.

It works in memory, without registry or lake, so that a replay calls it as the gate does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from include.deploy.contenders import Contender, Rows
from include.deploy.origins import origins, scores_at_origins
from include.modelling.blocks import Blocks
from include.modelling.fit import fit, fit_baselines
from include.modelling.metrics import Judged, Metric, judged, metric_of
from include.modelling.scoring import score_rows, scores_in
from include.modelling.uncertainty import Estimate, estimate_gain
from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """Two models on the same rows.

    Attributes
    ----------
    ours, theirs : float or None
        The metric of each; None where it is not defined.
    gain : Estimate
        By how much ours is better.
    """

    ours: float | None
    theirs: float | None
    gain: Estimate


@dataclass(frozen=True)
class Evidence:
    """The questions that were asked, and their answers.

    Attributes
    ----------
    metric : str
        What they are answered in.
    dummy, linear : Question
        The evaluated challenger against the baselines, on the whole holdout.
    configuration : Question or None
        The challenger's configuration against the champion's, both at the origins; None where they
        are the same or the champion's cannot be fitted.
    freshness : Question or None
        The challenger's configuration at the origins against the champion as it serves; None where
        the champion has learned rows of the holdout.
    slices : dict of str to Question
        By name (`origin=JFK`): as `freshness`, or else as `configuration`.
    same_configuration, newer, older : bool
        Whether the two share the configuration, and whether the challenger or the champion knows
        newer data.
    champion : str or None
        Its version; None where there is none that could be judged.
    first : bool
        Whether nothing serves, so that some model is worth more than none.
    rows : int
        How many rows of the holdout they were judged on.
    holdout_partition : str
        The newest partition of these rows.
    notes : list of str
        What a reader of the verdict must also know.
    """

    metric: str
    dummy: Question
    linear: Question
    rows: int
    holdout_partition: str
    configuration: Question | None = None
    freshness: Question | None = None
    slices: dict[str, Question] = field(default_factory=dict)
    same_configuration: bool = False
    newer: bool = False
    older: bool = False
    champion: str | None = None
    first: bool = True
    notes: list[str] = field(default_factory=list)


def evidence_of(
    use_case: UseCase,
    rows: Rows,
    challenger: Contender,
    champion: Contender | None = None,
    *,
    same_configuration: bool = False,
    newer: bool = False,
    older: bool = False,
    knows_holdout: bool = False,
    notes: Sequence[str] = (),
) -> Evidence:
    """Gather what there is for and against a challenger.

    Parameters
    ----------
    use_case : UseCase
        Gives the metric, the origins and the slices.
    rows : Rows
        What is learned from and judged on.
    challenger : Contender
        Who asks to serve.
    champion : Contender, optional
        Who serves; None before the first promotion.
    same_configuration : bool
        Whether both have one candidate, parameters and features: then only data differ.
    newer : bool
        Whether the challenger knows newer data than the champion.
    older : bool
        Whether the champion knows newer data than the challenger.
    knows_holdout : bool
        Whether the champion has learned any row of the holdout: its own scores say nothing then.
    notes : sequence of str
        Passed on to the verdict.
    """
    metric, said, nothing_serves = metric_of(use_case), list(notes), champion is None
    X = challenger.holdout_X.reset_index(drop=True)
    seen = judged(challenger.use_case, X, rows.holdout_y, rows.holdout_weight)
    at = seen.X.index.to_numpy()  # a clustering is judged on some of the rows
    blocks = rows.blocks[at]

    def question(ours: Floats, theirs: Floats) -> Question:
        return _question(metric, seen, ours[at], theirs[at], blocks)

    own = score_rows(challenger.estimator, challenger.holdout_X, challenger.use_case)
    with_dummy, with_linear = (question(own, score) for score in _baseline_scores(challenger, rows))
    found: dict[str, Any] = {}
    fixed = None
    if champion is not None and not knows_holdout:
        fixed = score_rows(champion.estimator, champion.holdout_X, champion.use_case)
        fixed = scores_in(challenger.use_case, fixed, champion.use_case)
        if question(own, fixed).theirs is None:
            # A clustering may find one cluster only in rows it has never seen.
            said.append(f"{metric.name} of champion {champion.version} is not defined here")
            champion = None
    nothing_differs = same_configuration and not newer
    if champion is not None and not nothing_differs:
        again = not same_configuration and champion.train_X is not None
        ours = _at_origins(use_case, challenger, rows) if fixed is not None or again else own
        theirs = None
        if again:
            # Fitted anew it learns the challenger's labels, and so the numbers of its classes.
            labels = {"labels": challenger.use_case.labels}
            anew = replace(champion, use_case=champion.use_case.model_copy(update=labels))
            theirs = _at_origins(use_case, anew, rows, fitted=False)
        found["freshness"] = None if fixed is None else question(ours, fixed)
        found["configuration"] = None if theirs is None else question(ours, theirs)
        against = theirs if fixed is None else fixed
        if against is not None and use_case.deploy.slices is not None:
            found["slices"] = {
                name: _question(metric, seen.at(i), ours[at][i], against[at][i], blocks[i])
                for name, i in _slices(use_case, seen)
            }
    return Evidence(
        metric=metric.name,
        dummy=with_dummy,
        linear=with_linear,
        rows=len(at),
        holdout_partition=rows.holdout_partition,
        same_configuration=same_configuration,
        newer=newer,
        older=older,
        champion=None if champion is None else champion.version,
        first=nothing_serves,
        notes=said,
        **found,
    )


def _baseline_scores(challenger: Contender, rows: Rows) -> Iterator[Floats]:
    """Fit dummy and linear on what the challenger has learned from, and score the holdout."""
    assert challenger.train_X is not None  # noqa: S101  for mypy: a challenger's are always there
    use_case, learned = challenger.use_case, (challenger.train_X, rows.train_y, rows.train_weight)
    for model in fit_baselines(use_case, *learned).values():
        yield score_rows(model, challenger.holdout_X, use_case)


def _at_origins(use_case: UseCase, one: Contender, rows: Rows, *, fitted: bool = True) -> Floats:
    """Score the holdout by a configuration; `fitted`: its model has learned the training rows.

    Clusters have no numbers that hold from one fit to the next, so a clustering has one origin.
    """
    assert one.train_X is not None  # noqa: S101  for mypy: asked only where it is there
    if rows.train_y is None or rows.holdout_y is None:
        model = (
            one.estimator
            if fitted
            else fit(one.use_case, one.candidate, one.params, one.train_X, None)
        )
        return score_rows(model, one.holdout_X, one.use_case)
    return scores_at_origins(
        one.use_case,
        one.candidate,
        one.params,
        (one.train_X, rows.train_y),
        (one.holdout_X, rows.holdout_y),
        origins(rows.times, use_case.deploy.origins),
        one.estimator if fitted else None,
        (rows.train_weight, rows.holdout_weight),
    )


def _question(
    metric: Metric, seen: Judged, ours: Floats, theirs: Floats, blocks: Blocks
) -> Question:
    here, there = (
        value if np.isfinite(value := metric.compute(seen.truth, score, seen.weight)) else None
        for score in (ours, theirs)
    )
    gain = estimate_gain(metric, seen.truth, ours, theirs, blocks, seen.weight)
    return Question(here, there, gain)


def _slices(use_case: UseCase, seen: Judged) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
    """Give each slice that is large enough, and which of the judged rows it has."""
    wanted = use_case.deploy.slices
    for column in wanted.columns if wanted else []:
        if column not in seen.X:
            continue  # the challenger was trained without it
        for value, positions in seen.X.groupby(column, sort=True, observed=True).indices.items():
            if wanted is not None and len(positions) >= wanted.min_rows:
                yield f"{column}={value}", np.asarray(positions, dtype=np.intp)
