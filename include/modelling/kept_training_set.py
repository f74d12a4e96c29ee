"""A training set on this machine's disk, for the later steps of the training that read it.

It saves reading and nothing else: a step on another machine, or one that finds the files damaged,
reads the lake at the pinned versions, and gets the same rows.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import feather

from include.lake.table import Input
from include.modelling.training_set import TrainingSet

log = logging.getLogger(__name__)

KEPT_S = 7 * 24 * 3600
"""A training that left its files behind is over after so many seconds."""

# No column of the lake begins so.
_LABEL, _TIME, _BLOCK, _WEIGHT = "#label", "#time", "#block", "#weight"
_BESIDE = (_LABEL, _TIME, _BLOCK, _WEIGHT)


def keep(training: TrainingSet, folder: Path) -> None:
    """Write a training set into a folder, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for old in folder.parent.iterdir():
        # Another training of this worker may put its draft in place, or clean up, meanwhile.
        with suppress(FileNotFoundError):
            if old == folder or time.time() - old.stat().st_mtime > KEPT_S:
                forget(old)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=folder.parent))
    _write(
        draft / "train.arrow",
        training.train_X,
        {
            _LABEL: training.train_y,
            _TIME: training.train_times,
            _BLOCK: training.train_blocks,
            _WEIGHT: training.train_weight,
        },
    )
    _write(
        draft / "holdout.arrow",
        training.holdout_X,
        {
            _LABEL: training.holdout_y,
            _TIME: training.holdout_times,
            _BLOCK: training.holdout_blocks,
            _WEIGHT: training.holdout_weight,
        },
    )
    facts = {
        "partitions": training.partitions,
        "learned_from": training.learned_from,
        "holdout_partitions": training.holdout_partitions,
        "inputs": [asdict(one) for one in training.inputs],
    }
    (draft / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    draft.rename(folder)


def load_kept(folder: Path, load: Callable[[], TrainingSet]) -> TrainingSet:
    """Read what `keep` wrote into a folder; where that is not possible, load it."""
    try:
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        holdout_partitions = facts["holdout_partitions"]
        train_X, train = _read(folder / "train.arrow")
        holdout_X, holdout = _read(folder / "holdout.arrow")
    except FileNotFoundError:
        return load()
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        log.warning("%s cannot be read (%s): the lake is read again", folder, error)
        return load()
    return TrainingSet(
        train_X=train_X,
        train_y=_named(train.get(_LABEL), "label"),
        train_times=train.get(_TIME),
        train_blocks=train[_BLOCK].to_numpy(),
        holdout_X=holdout_X,
        holdout_y=_named(holdout.get(_LABEL), "label"),
        holdout_times=holdout.get(_TIME),
        holdout_blocks=holdout[_BLOCK].to_numpy(),
        partitions=facts["partitions"],
        learned_from=facts["learned_from"],
        holdout_partitions=holdout_partitions,
        inputs=[Input(**one) for one in facts["inputs"]],
        train_weight=_weight(train),
        holdout_weight=_weight(holdout),
    )


def forget(folder: Path) -> None:
    """Remove what `keep` wrote, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, X: pd.DataFrame, beside: dict[str, Any]) -> None:
    extra = {name: one for name, one in beside.items() if one is not None}
    table = pa.Table.from_pandas(X.assign(**extra), preserve_index=False)
    feather.write_feather(table, path, compression="uncompressed")


def _read(path: Path) -> tuple[pd.DataFrame, dict[str, pd.Series[Any]]]:
    """Map the file into memory: trials that run side by side share its pages."""
    frame = feather.read_table(path, memory_map=True).to_pandas(split_blocks=True)
    return frame, {name: frame.pop(name) for name in _BESIDE if name in frame}


def _named(column: pd.Series[Any] | None, name: str) -> pd.Series[Any] | None:
    return None if column is None else column.rename(name)


def _weight(beside: dict[str, pd.Series[Any]]) -> npt.NDArray[np.float64] | None:
    return beside[_WEIGHT].to_numpy() if _WEIGHT in beside else None
