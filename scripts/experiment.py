"""Try a configuration in this terminal: split, tune, evaluate, and log it to MLflow.

python -m scripts.experiment customers
python -m scripts.experiment customers --set train.tuning.trials=5 --set train.split.folds=2

The functions are those of the Dag `train_tune`, on the rows that are in the lake; nothing is
registered, so nothing can be promoted. The run is in the use case's MLflow experiment, with its
parameters, the lake's versions and the outcome; without a running MLflow use `--no-log`.
"""

from __future__ import annotations

import argparse
import logging
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from include.errors import ConfigError, FlywheelError
from include.lake.table import Lake
from include.modelling.choice import Choice
from include.modelling.search import TrialDone, planned
from include.modelling.training_set import TrainingSet, labelled_partitions, load_training_set
from include.modelling.tuning import Compared, fit_and_compare, tune
from include.provenance import code_version, lock_hash
from include.registry.client import Registry
from include.registry.packing import pin_tags
from include.settings import Settings
from include.tracking_server.users import PIPELINE
from include.use_cases.explain import with_changes
from include.use_cases.schema import UseCase
from scripts.deployment import Deployment


@dataclass
class Experiment:
    """What was tried and what came of it."""

    use_case: UseCase
    training: TrainingSet
    choice: Choice
    compared: Compared
    done: list[TrialDone] = field(default_factory=list)


def run(use_case: UseCase, lake: Lake, as_of: str | None, console: Console) -> Experiment:
    """Load the rows, tune with a progress bar, and judge on the holdout.

    Raises
    ------
    DataContractError
        There are too few labelled partitions, or no trial completed.
    ConfigError
        Nothing has been learned from yet: there are no labelled partitions.
    """
    if as_of is None:
        features = lake.table(use_case.name, "features").partitions()
        labelled = labelled_partitions(use_case, lake, features[-1]) if features else []
        if not labelled:
            raise ConfigError(
                f"{use_case.name}: the lake has no labelled partitions. Land files and let the "
                "phases run: `make up`."
            )
        as_of = labelled[-1]
    training = load_training_set(use_case, lake, as_of)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    done: list[TrialDone] = []
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("trials", total=planned(use_case))

        def ended(trial: TrialDone) -> None:
            done.append(trial)
            progress.update(bar, advance=1, description=trial.candidate)

        choice = tune(use_case, training, ended)
    best = choice.trial
    compared = fit_and_compare(use_case, best.candidate, best.params, training)
    return Experiment(use_case, training, choice, compared, done)


def show(found: Experiment, console: Console) -> None:
    """Print the trials and the holdout's metrics."""
    metric, training = found.use_case.train.metric, found.training
    console.print(
        f"{len(training.train_X):,} rows of {training.partitions[0]} to {training.partitions[-1]}, "
        f"{len(training.holdout_X):,} held out"
    )
    trials = Table("trial", f"mean {metric} of the folds", "parameters")
    for one in found.done:
        kept = one.candidate == found.choice.trial.candidate
        mark = "*" if kept and one.number == found.choice.trial.number else ""
        value = "not defined" if one.value is None else f"{one.value:.4f}"
        params = ", ".join(f"{name}={number:.4g}" for name, number in one.params.items())
        trials.add_row(f"{one.candidate} {one.number}{mark}", value, params)
    console.print(trials)
    for reason in found.choice.reasons:
        console.print(reason)
    held_out = Table("on the holdout", "model *", "dummy", "linear")
    values = found.compared.values
    for name in values["model"]:
        held_out.add_row(name, *(f"{of_model[name]:.4f}" for of_model in values.values()))
    console.print(held_out)


def log(found: Experiment, changes: Mapping[str, str], registry: Registry) -> str:
    """Log it as one run of the use case's experiment; return the run's id."""
    use_case, training, best = found.use_case, found.training, found.choice.trial
    run_id = registry.run(
        use_case.name,
        f"experiment {uuid.uuid4()}",
        f"experiment {training.partitions[-1]}",
        {"flywheel.phase": "experiment", "flywheel.as_of": training.partitions[-1]},
    )
    pins = [
        {"table": pin.table, "version": pin.version, "table_id": pin.table_id}
        for pin in training.inputs
    ]
    values = found.compared.values
    metrics = {f"holdout_{name}": value for name, value in values["model"].items()}
    for baseline in ("dummy", "linear"):
        metrics |= {f"{baseline}_{name}": value for name, value in values[baseline].items()}
    registry.log(
        run_id,
        params={"candidate": best.candidate, **best.params, **changes},
        metrics=metrics,
        tags={
            **pin_tags(pins),
            "flywheel.code_version": code_version(),
            "flywheel.lock_hash": lock_hash(),
        },
    )
    registry.client.set_terminated(run_id)
    return run_id


def main(arguments: list[str] | None = None) -> int:
    """Run an experiment and print it; exit code 1 with a message when it fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("use_case")
    parser.add_argument("--as-of", help="newest partition that may be used (default: the newest)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another value of a key"
    )
    parser.add_argument("--no-log", action="store_true", help="do not log to MLflow")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    console = Console()
    try:
        changes = dict(_pair(text) for text in options.set)
        use_case = with_changes(options.use_case, changes)
        if options.no_log:
            deployment = Deployment(Settings.from_env())
        else:
            deployment = Deployment.of_environment(PIPELINE)
        found = run(use_case, deployment.lake, options.as_of, console)
        show(found, console)
        if not options.no_log:
            run_id = log(found, changes, deployment.registry)
            console.print(f"MLflow run {run_id}")
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ConfigError(
            f"--set {text}: must be KEY=VALUE, such as train.tuning.trials=5. Correct it."
        )
    return key, value


if __name__ == "__main__":
    sys.exit(main())
