"""API keys of the scoring server: a file of digests, read again when it changes.

A key is 256 random bits, shown once when it is made. The file holds its SHA-256 alone: a slow hash
is for passwords, which can be guessed; 256 random bits cannot, and a slow hash would be paid by
each request.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from include.errors import ConfigError

PREFIX = "fw"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_ID_BYTES, _SECRET_BYTES = 4, 32
_TOKEN = re.compile(rf"{PREFIX}_([0-9a-f]{{8}})_[A-Za-z0-9_-]{{43}}")


@dataclass(frozen=True)
class Key:
    """What is known of a key.

    Attributes
    ----------
    id : str
        Part of the key itself, and no secret; names it in lists and logs.
    name : str
        Whose it is. Several keys may have one name: so one follows another without a gap.
    digest : str
        SHA-256 of the key, in hex.
    use_cases : tuple of str
        Those that it may ask; none stands for all.
    rate : float or None
        Requests a second in each process that serves; None for as many as come.
    made_at, expires_at : str or None
        ISO 8601, with a zone.
    """

    id: str
    name: str
    digest: str
    use_cases: tuple[str, ...] = ()
    rate: float | None = None
    made_at: str = ""
    expires_at: str | None = None

    def has_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and now >= datetime.fromisoformat(self.expires_at)

    def may_ask(self, use_case: str) -> bool:
        """Whether it is for this use case."""
        return not self.use_cases or use_case in self.use_cases


class KeyFile:
    """The file of all keys.

    Parameters
    ----------
    path : Path
        Readable by its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def exists(self) -> bool:
        """Whether a key was ever made here."""
        return self.path.exists()

    def find(self, token: str) -> Key | None:
        """Return the key that a client sent, whether it has expired or not; None for any other.

        Raises
        ------
        ConfigError
            The file cannot be read: nobody is let in then.
        """
        found = _TOKEN.fullmatch(token)
        key = self.keys().get(found[1]) if found else None
        digest = sha256(token.encode()).hexdigest()
        return key if key is not None and hmac.compare_digest(key.digest, digest) else None

    def keys(self) -> dict[str, Key]:
        """Return the keys by id, as the file has them now; none where there is no file.

        Raises
        ------
        ConfigError
            The file cannot be read.
        """
        try:
            about = self.path.stat()
            stamp = (about.st_ino, about.st_mtime_ns, about.st_size)
            if stamp != self._stamp:
                self._keys, self._stamp = _read(self.path), stamp
        except FileNotFoundError:
            self._keys, self._stamp = {}, None
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}.") from error
        return self._keys

    def make(
        self,
        name: str,
        use_cases: Sequence[str] = (),
        days: float | None = None,
        rate: float | None = None,
    ) -> tuple[Key, str]:
        """Make a key; return what is kept of it, and the key itself, which nothing keeps.

        Raises
        ------
        ConfigError
            The name, the days or the rate are none.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"NAME must be small letters, digits, '-' and '_', at most 40, got {name!r}."
            )
        for variable, value in (("DAYS", days), ("RATE", rate)):
            if value is not None and not 0 < value < 1e6:
                raise ConfigError(f"{variable} must be above 0 and below 1,000,000, got {value:g}.")
        number, now = secrets.token_hex(_ID_BYTES), datetime.now(UTC)
        token = f"{PREFIX}_{number}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        key = Key(
            id=number,
            name=name,
            digest=sha256(token.encode()).hexdigest(),
            use_cases=tuple(use_cases),
            rate=rate,
            made_at=now.isoformat(timespec="seconds"),
            expires_at=None
            if days is None
            else (now + timedelta(days=days)).isoformat(timespec="seconds"),
        )
        self._change(lambda keys: {**keys, number: key})
        return key, token

    def revoke(self, number: str) -> Key:
        """Remove a key, so that it is refused from the next request on.

        Raises
        ------
        ConfigError
            There is no key of this id.
        """
        there = self.keys()
        if number not in there:
            raise ConfigError(f"There is no key {number!r}; there are {sorted(there)}.")
        self._change(lambda keys: {each: key for each, key in keys.items() if each != number})
        return there[number]

    def _change(self, change: Callable[[dict[str, Key]], dict[str, Key]]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            keys = change(_read(self.path) if self.path.exists() else {})
            content = {"keys": [asdict(key) for key in keys.values()]}
            unfinished = self.path.with_suffix(".tmp")
            unfinished.unlink(missing_ok=True)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others out who make or revoke a key at the same time."""
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _read(path: Path) -> dict[str, Key]:
    try:
        found = json.loads(path.read_text())["keys"]
        keys = [Key(**{**one, "use_cases": tuple(one["use_cases"])}) for one in found]
        for key in keys:
            key.has_expired(datetime.now(UTC))
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path}: is no file of API keys ({type(error).__name__}). Restore it, or remove it "
            "and make the keys anew."
        ) from error
    return {key.id: key for key in keys}
