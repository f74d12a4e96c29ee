"""What prevents a training that a signal asks for, by name and in words."""

from __future__ import annotations

from include.errors import bounded
from include.partitions import start_of
from include.retrain_trigger.facts import Champion, Facts, Request
from include.retrain_trigger.signals import days
from include.use_cases.schema import Grain, Retrain


def obstacles_to(facts: Facts, retrain: Retrain, grain: Grain) -> dict[str, str]:
    """Return by name why a training that is due must not be asked for; empty when it may."""
    if any(_is_same(request, facts) for request in facts.requests):
        return {"already_asked": f"already asked for as of {facts.as_of}"}
    found = {
        "refused": _refused(facts),
        "pending": _pending(facts),
        "nothing_new": _nothing_new(facts),
        "cooldown": _cooling_down(facts, retrain, grain),
        "budget": _over_budget(facts, retrain, grain),
    }
    return {name: reason for name, reason in found.items() if reason}


def _is_same(request: Request, facts: Facts) -> bool:
    """Whether a request is the one that would be made now.

    Before the first champion the as-of partition stays where it is, so corrected labels are news.
    So are labels that people gave to a partition that the champion knows.
    """
    moves = facts.champion is not None and not facts.new_labels
    same_data = moves or request.training_set == facts.training_set
    return request.as_of == facts.as_of and same_data


def _refused(facts: Facts) -> str | None:
    """Do not ask again for what would be refused again."""
    if facts.refused is None:
        return None
    return (
        f"the training as of {facts.as_of} was refused, and nothing has changed since: "
        f"{bounded(facts.refused, 500)}"
    )


def _pending(facts: Facts) -> str | None:
    """Wait for what has landed: a first training on half of it would have to be repeated."""
    if facts.champion is not None or not facts.pending:
        return None
    shown = ", ".join(facts.pending[:3])
    more = f" and {len(facts.pending) - 3} more" if len(facts.pending) > 3 else ""
    return f"waits for what has landed before: {shown}{more}"


def _nothing_new(facts: Facts) -> str | None:
    """Name what makes another training learn the same again.

    A request counts also when its challenger was rejected: the same data would give the same
    challenger. Corrected and added labels are new: the training set has another fingerprint then.
    """
    newest, champion = facts.newest, facts.champion
    if champion is None:
        same = [r.as_of for r in facts.requests if r.training_set == facts.training_set]
        return f"the same training set was already asked for as of {same[-1]}" if same else None
    changed = facts.new_labels or _corrected(facts, champion)
    if newest <= champion.known_up_to and not changed:
        return (
            f"nothing new to learn: the newest labelled partition is {newest or 'none'}, and"
            f" champion {champion.version} knows all up to {champion.known_up_to}"
        )
    asked = [
        r
        for r in facts.requests
        if r.newest_labelled > newest
        or (r.newest_labelled == newest and r.training_set == facts.training_set)
    ]
    if asked:
        return (
            f"nothing new to learn: a training with labels up to {asked[-1].newest_labelled} was"
            f" already asked for as of {asked[-1].as_of}"
        )
    return None


def _corrected(facts: Facts, champion: Champion) -> bool:
    """Whether what the champion knows has been corrected since it was trained.

    The request of its training has the fingerprint of what it was trained with, as far as the
    newest labelled partition is still the same.
    """
    if facts.corrected_rows:
        return True
    learned = [r.training_set for r in facts.requests if r.as_of == champion.as_of]
    same_end = facts.newest == champion.known_up_to
    return same_end and bool(learned) and learned[-1] != facts.training_set


def _cooling_down(facts: Facts, retrain: Retrain, grain: Grain) -> str | None:
    earlier = [request.as_of for request in facts.requests if request.as_of != facts.as_of]
    if not earlier:
        return None
    last = earlier[-1]
    passed = start_of(facts.as_of, grain) - start_of(last, grain)
    if passed >= retrain.cooldown:
        return None
    return (
        f"cooling down: asked as of {last}, {days(passed)} days before {facts.as_of};"
        f" {days(retrain.cooldown)} days needed"
    )


def _over_budget(facts: Facts, retrain: Retrain, grain: Grain) -> str | None:
    month = start_of(facts.as_of, grain).strftime("%Y-%m")
    spent = sum(start_of(r.as_of, grain).strftime("%Y-%m") == month for r in facts.requests)
    if spent < retrain.monthly_budget:
        return None
    return f"budget spent: {spent} trainings asked for in {month}, {retrain.monthly_budget} allowed"
