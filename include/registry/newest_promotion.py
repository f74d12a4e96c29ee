"""The number of the newest promotion, signed, in MLflow: a copy that the lake does not hold.

A replica that is new, or whose disk was lost, has not seen any promotion. With this number it
refuses a lake that was set back to an older promotion, as its predecessor would have.
"""

from __future__ import annotations

import json
import logging

from mlflow.exceptions import MlflowException

from include.registry import signing
from include.registry.answers import is_missing
from include.registry.client import Registry

TAG = "flywheel.newest_promotion"
"""Of the registered model."""

_log = logging.getLogger(__name__)


def note(registry: Registry, name: str, number: int) -> None:
    """Write the number of the newest promotion of a use case. Needs the signing key."""
    signature = signing.sign(_signed_bytes(name, number), registry.signing_key).hex()
    text = json.dumps({"number": number, "signature": signature})
    registry.client.set_registered_model_tag(name, TAG, text)


def noted(registry: Registry, name: str) -> int:
    """Return the number of the newest promotion; 0 where none is noted, or not with our key.

    Whoever may write into MLflow can remove the note. So what is not signed is as good as none, and
    is logged.

    Raises
    ------
    ServiceUnavailable
        MLflow does not answer.
    """
    try:
        text = registry.client.get_registered_model(name).tags.get(TAG)
    except MlflowException as error:
        if is_missing(error):
            return 0
        raise
    if text is None:
        return 0
    try:
        told = json.loads(text)
        number, signature = int(told["number"]), bytes.fromhex(told["signature"])
    except (ValueError, TypeError, KeyError):
        number, signature = 0, b""
    if not signing.verify(_signed_bytes(name, number), signature, registry.verify_key):
        _log.warning("%s: the tag %s in MLflow is not signed with our key, and ignored", name, TAG)
        return 0
    return number


def _signed_bytes(name: str, number: int) -> bytes:
    return json.dumps({"use_case": name, "newest_promotion": number}, sort_keys=True).encode()
