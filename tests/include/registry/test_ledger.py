"""The ledger under races, repetition and tampering, in real Delta tables."""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from include.errors import DataContractError
from include.lake.frames import arrow_schema
from include.lake.store import Store
from include.lake.table import Lake
from include.registry import ledger as ledger_module
from include.registry.ledger import Ledger, Promotion
from include.registry.signing import ensure_keys

FACTS = {"as_of": "2024-02", "known_up_to": "2024-01", "package_sha256": "ab" * 32}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    ensure_keys(folder / "signing.pem", folder / "verify.pem")
    return folder


@pytest.fixture
def ledger(lake: Lake, keys: Path) -> Ledger:
    return Ledger(lake, "tiny", keys / "verify.pem")


@pytest.fixture
def promote(ledger: Ledger, keys: Path) -> Callable[..., Promotion]:
    def promote(version: str, instead_of: str | None, run_id: str = "", **more: Any) -> Promotion:
        return _promote(ledger, keys, version, instead_of, run_id, **more)

    return promote


def _promote(
    ledger: Ledger, keys: Path, version: str, instead_of: str | None, run_id: str = "", **more: Any
) -> Promotion:
    given = {"facts": FACTS, "who": "ann", "why": "better", "evidence": {"effect": 0.1}, **more}
    return ledger.promote(
        version=version,
        instead_of=instead_of,
        run_id=run_id or f"deploy {version}",
        signing_key=keys / "signing.pem",
        **given,
    )


# What is written


def test_before_the_first_promotion_nothing_serves_and_no_table_is_made(ledger, lake):
    assert ledger.current() is None
    assert ledger.entries() == []
    assert not lake.table("tiny", "promotions").exists()


def test_an_entry_says_who_promoted_what_instead_of_what_and_why(promote, ledger):
    first = promote("3", None)
    second = promote("5", "3", who="bob", why="a rollback", evidence={"b": 1, "a": [0.5, None]})

    assert ledger.current() == second
    assert ledger.entries() == [first, second]
    assert (first.number, first.version, first.previous) == (1, "3", None)
    assert (second.number, second.version, second.previous) == (2, "5", "3")
    assert first.evaluated_version == "3", "what serves was judged itself"
    assert (second.who, second.why, second.run_id) == ("bob", "a rollback", "deploy 5")
    assert json.loads(second.evidence) == {"a": [0.5, None], "b": 1}
    assert {name: getattr(second, name) for name in FACTS} == FACTS
    moment = datetime.fromisoformat(second.promoted_at)
    assert moment.utcoffset() == timedelta(0)
    assert moment >= datetime.fromisoformat(first.promoted_at)


def test_an_entry_of_a_refit_names_what_was_judged(promote, ledger):
    promote("4", None, facts={**FACTS, "refit_of": "3"})
    assert (ledger.current().version, ledger.current().evaluated_version) == ("4", "3")


def test_entries_are_told_by_number_whatever_order_they_are_stored_in(promote, ledger):
    """'10' comes after '9': numbers, not text."""
    before = None
    for version in map(str, range(1, 12)):
        promote(version, before)
        before = version
    assert [entry.number for entry in ledger.entries()] == list(range(1, 12))
    assert ledger.current().version == "11"


def test_the_signature_is_ed25519_over_the_use_case_and_every_field(promote, keys, lake):
    """Verified here with the cryptography package and a spelled-out list of fields."""
    entry = promote("3", None)
    (row,) = lake.table("tiny", "promotions").read().to_pylist()
    fields = ["number", "version", "evaluated_version", "previous", "as_of"]
    fields += ["known_up_to", "package_sha256", "who", "why", "evidence", "run_id", "promoted_at"]
    signed = {"use_case": "tiny", **{name: getattr(entry, name) for name in fields}}
    public = load_pem_public_key((keys / "verify.pem").read_bytes())

    public.verify(bytes.fromhex(row["signature"]), json.dumps(signed, sort_keys=True).encode())
    assert set(row) == {*fields, "signature", "partition"}


def test_the_table_keeps_its_log_for_years(promote, lake):
    promote("3", None)
    folder = Path(lake.uri) / "tiny" / "promotions" / "_delta_log"
    assert "interval 3650 days" in (folder / f"{0:020}.json").read_text()


# Compare and set


def test_a_promotion_judged_against_another_champion_is_refused_and_changes_nothing(
    promote, ledger
):
    promote("1", None)
    standing = promote("2", "1")

    for version, instead_of, words in [
        ("3", "1", "version 3 was judged against champion 1, but 2 serves now"),
        ("3", None, "version 3 was judged against champion none, but 2 serves now"),
        ("3", "9", "version 3 was judged against champion 9, but 2 serves now"),
        ("1", None, "version 1 was judged against champion none, but 2 serves now"),
    ]:
        with pytest.raises(DataContractError, match=words) as refused:
            promote(version, instead_of)
        assert "Start tiny__deploy again" in str(refused.value)
    assert ledger.current() == standing
    assert len(ledger.entries()) == 2


def test_a_champion_that_was_expected_and_never_was_is_refused(promote, ledger):
    with pytest.raises(DataContractError, match="judged against champion 7, but none serves now"):
        promote("8", "7")
    assert ledger.current() is None


def test_a_run_that_promotes_again_finds_its_entry(promote, ledger, lake):
    first = promote("1", None, "run-1")
    second = promote("2", "1", "run-2")
    version = lake.table("tiny", "promotions").version()

    assert promote("2", "1", "run-2", why="said differently by a retry") == second
    assert ledger.entries() == [first, second]
    assert lake.table("tiny", "promotions").version() == version


def test_an_old_run_that_is_cleared_does_not_bring_its_model_back(promote, ledger):
    promote("1", None, "run-1")
    second = promote("2", "1", "run-2")

    with pytest.raises(DataContractError, match="judged against champion none, but 2 serves now"):
        promote("1", None, "run-1")
    assert ledger.current() == second


def test_nor_does_it_undo_a_rollback_to_what_it_was_judged_against(promote, ledger):
    promote("1", None, "run-1")
    promote("2", "1", "run-2")
    back = promote("1", "2", "run-of-the-rollback")

    with pytest.raises(DataContractError, match="was promoted by this run and replaced since"):
        promote("2", "1", "run-2")
    assert ledger.current() == back
    assert promote("2", "1", "run-of-a-person").number == 4, "another run may"


def test_a_rollback_is_an_entry_of_its_own(promote, ledger):
    promote("1", None)
    promote("2", "1")
    back = promote("1", "2", "run-of-the-rollback")
    assert (back.number, back.version, back.previous) == (3, "1", "2")
    assert ledger.current() == back


def _at_once(
    lake: Lake, keys: Path, instead_of: str | None, attempts: Sequence[tuple[str, str]]
) -> list[Promotion | DataContractError]:
    """Let attempts (version and run) promote in threads; all look before anyone appends."""
    barrier = threading.Barrier(len(attempts))

    def attempt(version: str, run_id: str) -> Promotion | DataContractError:
        ledger = Ledger(lake, "tiny", keys / "verify.pem")
        look = ledger._rows

        def look_then_wait() -> list[dict]:
            ledger._rows = look
            seen = look()
            barrier.wait(60)
            return seen

        ledger._rows = look_then_wait
        try:
            return _promote(ledger, keys, version, instead_of, run_id)
        except DataContractError as error:
            return error

    with ThreadPoolExecutor(len(attempts)) as pool:
        return list(pool.map(lambda one: attempt(*one), attempts))


@pytest.mark.parametrize("instead_of", [None, "1"], ids=["first", "later"])
def test_of_runs_that_replace_the_same_champion_at_once_exactly_one_wins(
    promote, ledger, lake, keys, instead_of
):
    """With `None` they also race to make the table."""
    before = [] if instead_of is None else [promote(instead_of, None)]
    rivals = ["2", "3", "4"]

    answers = _at_once(lake, keys, instead_of, [(rival, f"run-{rival}") for rival in rivals])

    won = [answer for answer in answers if isinstance(answer, Promotion)]
    assert len(won) == 1, answers
    assert ledger.entries() == [*before, *won]
    for rival, answer in zip(rivals, answers, strict=True):
        if rival != won[0].version:
            assert str(answer).startswith(
                f"tiny: version {rival} was judged against champion {instead_of or 'none'}, "
                f"but {won[0].version} serves now."
            )


def test_attempts_of_one_run_at_once_all_get_its_one_entry(lake, keys, ledger):
    """Airflow may take a live attempt for dead, and start another one of the same run."""
    answers = _at_once(lake, keys, None, [("1", "run-1")] * 4)

    (entry,) = ledger.entries()
    assert answers == [entry] * 4, "as it stands in the ledger, with the writer's time"


def test_a_promotion_whose_confirmation_was_lost_is_found(promote, ledger, lake, monkeypatch):
    """The commit is applied, the store's answer is not received."""
    promote("1", None)
    real = Store._write

    def applied_and_lost(*args):
        real(*args)
        raise OSError("connection reset")

    monkeypatch.setattr(Store, "_write", applied_and_lost)
    made = promote("2", "1")
    monkeypatch.undo()

    assert ledger.current() == made
    assert len(ledger.entries()) == 2


# Tampering


def _rewrite(lake: Lake, change: Callable[[list[dict]], list[dict]], use_case: str = "tiny"):
    """Append altered rows, as somebody with access to the lake could."""
    rows = change(lake.table("tiny", "promotions").read().drop(["partition"]).to_pylist())
    data = pa.Table.from_pylist(rows, schema=arrow_schema(ledger_module._COLUMNS))
    table = lake.table(use_case, "promotions")
    sequence = (table.last_sequence("ledger") or 0) + 1
    table.append(data, partition="ledger", schema=data.schema, app_id="ledger", sequence=sequence)


REPLACED = {
    "number": 9,
    "version": "66",
    "evaluated_version": "65",
    "previous": "5",
    "as_of": "2023-01",
    "known_up_to": "2023-01",
    "package_sha256": "cd" * 32,
    "who": "mallory",
    "why": "because",
    "evidence": "{}",
    "run_id": "run-9",
    "promoted_at": datetime(2020, 1, 1, tzinfo=UTC),
    "signature": "00" * 64,
}


@pytest.mark.parametrize("field", sorted(REPLACED))
def test_an_entry_with_any_field_altered_is_refused(promote, ledger, lake, field):
    promote("1", None)
    _rewrite(lake, lambda rows: [{**rows[0], "number": 2, field: REPLACED[field]}])

    with pytest.raises(DataContractError, match=r"tiny.promotions: entry \d must be signed"):
        ledger.current()
    with pytest.raises(DataContractError, match="Find out who wrote into the lake"):
        ledger.entries()
    with pytest.raises(DataContractError, match="Nothing was changed"):
        promote("2", "1")


def test_an_older_entry_that_was_altered_does_not_stop_what_serves_but_the_audit(
    promote, ledger, lake
):
    promote("1", None)
    _rewrite(lake, lambda rows: [{**rows[0], "number": 0, "who": "mallory"}])
    assert ledger.current().version == "1"
    with pytest.raises(DataContractError, match="entry 0 must be signed"):
        ledger.entries()


def test_an_entry_moved_to_another_use_case_is_refused(promote, lake, keys):
    """Its signature is good, for `tiny`: a weak model of one problem must not serve another."""
    promote("1", None)
    _rewrite(lake, lambda rows: rows, use_case="other")

    with pytest.raises(DataContractError, match=r"other.promotions: entry 1 must be signed"):
        Ledger(lake, "other", keys / "verify.pem").current()


def test_an_entry_signed_with_another_key_is_refused(ledger, lake, tmp_path):
    strange = tmp_path / "strange"
    ensure_keys(strange / "signing.pem", strange / "verify.pem")
    _promote(Ledger(lake, "tiny", strange / "verify.pem"), strange, "1", None)

    with pytest.raises(DataContractError, match=r"private half of .*keys/verify.pem, it is not"):
        ledger.current()


@pytest.mark.parametrize("signature", ["not hexadecimal", "", "ab"])
def test_a_signature_that_is_none_is_refused_like_a_wrong_one(promote, ledger, lake, signature):
    promote("1", None)
    _rewrite(lake, lambda rows: [{**rows[0], "number": 2, "signature": signature}])
    with pytest.raises(DataContractError, match="entry 2 must be signed"):
        ledger.current()
