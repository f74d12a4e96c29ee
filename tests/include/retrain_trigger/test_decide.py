"""The decision as a table of facts, property by property, then a whole year month by month."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.retrain_trigger.decide import asked_by, decide_from
from include.retrain_trigger.facts import Champion, Decision, Facts, Request, Window
from include.use_cases.schema import Retrain

RETRAIN = Retrain(when=["drift", "performance", "age"])  # 2 of 3, 180 d, cooldown 7 d, budget 4
MONTHS = [f"2013-{month:02}" for month in range(1, 13)]
CHAMPION = Champion(version="1", as_of="2013-03", known_up_to="2013-02")


def decide(facts: Facts, retrain: Retrain = RETRAIN, grain: str = "month") -> Decision:
    return decide_from(facts, retrain, min_partitions=2, grain=grain)


def windows(first: str, drift: str, decay: str = "") -> list[Window]:
    """`+` flagged, `-` not, `?` not known; one character a month."""
    value = {"+": True, "-": False, "?": None}
    start = MONTHS.index(first)
    decay = decay.ljust(len(drift), "?")
    return [
        Window(MONTHS[start + i], value[a], value[b])
        for i, (a, b) in enumerate(zip(drift, decay, strict=True))
    ]


def later(**changes: object) -> Facts:
    """Return a champion of March, looked at in July with labels up to June."""
    base = Facts(as_of="2013-07", labelled=MONTHS[:6], training_set="t6", champion=CHAMPION)
    return replace(base, **changes)


# ---- first training


@pytest.mark.parametrize(
    ("labelled", "ask", "reason"),
    [
        ([], False, "no champion yet; 0 labelled partitions, 2 needed"),
        (MONTHS[:1], False, "no champion yet; 1 labelled partitions up to 2013-01, 2 needed"),
        (MONTHS[:2], True, "no champion yet; 2 labelled partitions up to 2013-02, 2 needed"),
        (MONTHS[:5], True, "no champion yet; 5 labelled partitions up to 2013-05, 2 needed"),
    ],
)
def test_a_first_training_needs_enough_labelled_partitions(labelled, ask, reason):
    decision = decide(Facts(as_of="2013-06", labelled=labelled, training_set="t"))
    assert (decision.ask, decision.reasons) == (ask, [reason])
    assert decision.champion_version is None


def test_a_first_training_is_asked_for_once_only():
    first = Request("2013-03", "2013-02", "t2")
    same_month = Facts("2013-03", MONTHS[:2], "t2", requests=[first])
    assert decide(same_month).reasons[0] == "already asked for as of 2013-03"
    assert not decide(same_month).ask

    features_only = Facts("2013-04", MONTHS[:2], "t2", requests=[first])
    assert not decide(features_only).ask
    assert decide(features_only).reasons[0] == (
        "the same training set was already asked for as of 2013-03"
    )


@pytest.mark.parametrize("training_set", ["t3", "t2 with corrected labels"])
def test_a_first_training_is_asked_for_again_when_the_training_set_changed(training_set):
    first = Request("2013-03", "2013-02", "t2")
    assert decide(Facts("2013-04", MONTHS[:3], training_set, requests=[first])).ask


def test_corrected_labels_of_the_newest_partition_are_news_before_a_champion():
    """Its challenger was rejected, say; the as-of partition is the same, what it learns is not."""
    first = Request("2013-03", "2013-03", "t3")
    assert not decide(Facts("2013-03", MONTHS[:3], "t3", requests=[first])).ask
    corrected = Facts("2013-03", MONTHS[:3], "t3 with corrected labels", requests=[first])
    assert decide(corrected).ask
    spent = [Request("2013-03", "2013-03", f"t{number}") for number in range(4)]
    assert decide(replace(corrected, requests=spent)).reasons[0].startswith("budget spent: 4 ")


def test_a_training_that_stands_refused_is_not_asked_for():
    facts = Facts("2013-03", MONTHS[:3], "t3", refused="labels of 2013-01 were made before. " * 99)
    decision = decide(facts)
    assert not decision.ask
    assert decision.reasons[0].startswith(
        "the training as of 2013-03 was refused, and nothing has changed since: labels of 2013-01 "
    )
    assert len(decision.reasons[0]) < 700
    assert decide(replace(facts, refused=None)).ask
    assert not decide(later(refused="mixed", **DRIFTING)).ask


# ---- signals of a champion


@pytest.mark.parametrize(
    ("drift", "ask"),
    [
        ("", False),
        ("+", False),  # 1 of 1 is not 2
        ("++", True),  # 2 of 2: a third is not waited for
        ("+-+", True),
        ("++-", False),  # it is over: the latest is calm
        ("--+", False),
        ("+--+", False),  # the first is outside the last 3
        ("+-?+", True),  # windows without a verdict do not count
        ("++?", True),
    ],
)
@pytest.mark.parametrize("kind", ["drift", "performance"])
def test_k_of_the_last_n_windows_and_the_latest_one(kind, drift, ask):
    retrain = Retrain(when=[kind])
    unknown = "?" * len(drift)
    seen = windows("2013-03", *((drift, unknown) if kind == "drift" else (unknown, drift)))
    assert decide(later(windows=seen), retrain).ask is ask


def test_the_reasons_say_the_numbers():
    decision = decide(later(windows=windows("2013-03", "-+-+", "--+?")))
    assert decision.ask
    assert decision.champion_version == "1"
    assert decision.reasons == [
        "predictions drifted in 2 of the last 3 windows (2013-04, 2013-06), 2 of 3 needed;"
        " the latest, 2013-06, is one of them"
    ]
    assert decision.signals == {
        "drift": {"fires": True, "flagged": 2, "windows": 3, "k": 2, "n": 3, "latest": True},
        "performance": {
            "fires": False, "flagged": 1, "windows": 3, "k": 2, "n": 3, "latest": True,
        },
        "age": {"fires": False, "age_hours": 122 * 24, "max_age_hours": 180 * 24},
        "newest_labelled": "2013-06",
        "training_set": "t6",
    }  # fmt: skip


def test_without_a_cause_every_signal_is_explained():
    decision = decide(later(windows=windows("2013-04", "++-")))
    assert not decision.ask
    assert decision.reasons == [
        "predictions drifted in 2 of the last 3 windows (2013-04, 2013-05), 2 of 3 needed;"
        " the latest, 2013-06, is not one of them",
        "performance decayed in 0 of the last 0 windows, 2 of 3 needed",
        "champion 1 was trained as of 2013-03, 122 days before 2013-07; due at 180 days",
    ]


def test_only_signals_that_the_use_case_names_count():
    drifting = later(windows=windows("2013-03", "++++"))
    assert decide(drifting, Retrain(when=["drift"])).ask
    assert not decide(drifting, Retrain(when=["performance", "age"])).ask
    assert set(decide(drifting, Retrain(when=["age"])).signals) == {
        "age", "newest_labelled", "training_set",
    }  # fmt: skip


@pytest.mark.parametrize(("days", "ask"), [(121, True), (122, True), (123, False)])
def test_age_counts_from_the_champions_as_of(days, ask):
    # 2013-03-01 to 2013-07-01 is 122 days.
    retrain = Retrain(when=["age"], max_age=timedelta(days=days))
    assert decide(later(), retrain).ask is ask


@pytest.mark.parametrize(
    ("requests", "ask", "last"),
    [
        ([], True, "2013-03"),  # the champion's own training
        (["2013-05"], True, "2013-05"),  # rejected, say
        (["2013-06"], False, "2013-06"),
        (["2013-06", "2013-09"], False, "2013-06"),  # a replay does not see September
    ],
)
def test_a_schedule_counts_from_the_last_training_whatever_came_of_it(requests, ask, last):
    retrain = Retrain(when=["schedule"], every=timedelta(days=60), monthly_budget=9)
    asked = [Request(as_of, "2013-04", "t4") for as_of in requests]
    decision = decide(later(requests=asked), retrain)
    assert decision.signals["schedule"]["fires"] is ask
    assert decision.ask is ask
    days = {"2013-03": 122, "2013-05": 61, "2013-06": 30}[last]
    assert decision.reasons[-1] == (
        f"the last training was as of {last}, {days} days before 2013-07; one every 60 days"
    )


@pytest.mark.parametrize(
    ("rows", "new", "ask"), [(100, 49, False), (100, 50, True), (100, 0, False), (0, 0, False)]
)
def test_new_rows_count_as_a_share_of_what_a_training_would_use(rows, new, ask):
    retrain = Retrain(when=["new_rows"], new_rows=0.5)
    assert decide(later(rows=rows, new_rows=new), retrain).ask is ask


@pytest.mark.parametrize(("corrected", "ask"), [(0, False), (1, False), (2, True), (None, False)])
def test_corrected_labels_count_as_a_share_of_what_a_training_would_use(corrected, ask):
    retrain = Retrain(when=["corrections"], corrections=0.01)
    learned = [month for month in MONTHS if month <= CHAMPION.known_up_to]
    facts = later(labelled=learned, rows=200, corrected_rows=corrected)
    decision = decide(facts, retrain)
    assert decision.ask is ask, "no newer partition is needed"
    assert decision.signals["corrections"]["corrected_rows"] == corrected


@pytest.mark.parametrize(("new", "ask"), [(0, False), (9, False), (10, True), (None, False)])
def test_new_labels_of_rows_that_the_champion_knows_ask_for_a_training(new, ask):
    retrain = Retrain(when=["new_labels"], new_labels=0.05)
    learned = [month for month in MONTHS if month <= CHAMPION.known_up_to]
    decision = decide(later(labelled=learned, rows=200, new_labels=new), retrain)
    assert decision.ask is ask, "no newer partition is needed"
    assert decision.signals["new_labels"]["new_labels"] == new


def test_each_round_of_people_on_one_partition_is_asked_for_once():
    """The as-of partition stays the same: what differs is the training set."""
    retrain = Retrain(when=["new_labels"], new_labels=0.05)
    champion = Champion("4", as_of="2013-07", known_up_to="2013-07")
    facts = later(labelled=["2013-07"], champion=champion, rows=200, new_labels=20)
    first = Request("2013-07", "2013-07", "the champion's")
    assert decide(replace(facts, requests=[first], training_set="round 1"), retrain).ask
    asked = [first, Request("2013-07", "2013-07", "round 1")]
    again = decide(replace(facts, requests=asked, training_set="round 1"), retrain)
    assert not again.ask
    assert again.signals["obstacles"] == ["already_asked"]
    assert decide(replace(facts, requests=asked, training_set="round 2"), retrain).ask


def test_a_window_of_an_earlier_model_counts_and_is_named():
    seen = [Window("2013-05", True, None, "0"), Window("2013-06", True, None, "1")]
    decision = decide(later(windows=seen), Retrain(when=["drift"]))
    assert decision.ask
    assert decision.reasons[0].startswith(
        "predictions drifted in 2 of the last 2 windows (2013-05 of model 0, 2013-06), 2 of 3"
    )


def test_a_person_asks_and_what_speaks_against_it_is_kept():
    refused = decide(later())
    asked = asked_by("ann", refused, "2013-07")
    assert (asked.ask, asked.reasons) == (True, ["asked for by ann, against:", *refused.reasons])
    assert asked.signals["person"] == {"fires": True, "who": "ann"}
    due = decide(later(**DRIFTING))
    assert asked_by("ann", due, "2013-07") is due


# ---- obstacles


DRIFTING = {"windows": windows("2013-05", "++")}


def test_nothing_new_to_learn_when_the_champion_has_seen_the_newest_labels():
    champion = Champion("4", as_of="2013-07", known_up_to="2013-06")
    decision = decide(later(champion=champion, **DRIFTING))
    assert not decision.ask
    assert decision.reasons[0] == (
        "nothing new to learn: the newest labelled partition is 2013-06, and champion 4 knows all"
        " up to 2013-06"
    )
    assert "2 of the last 2" in decision.reasons[1]  # the cause is still told
    assert decision.signals["obstacles"] == ["nothing_new"]


def test_every_obstacle_is_named():
    requests = [Request("2013-07-06", "2013-07-05", "x"), Request("2013-07-07", "2013-07-05", "y")]
    facts = Facts(
        as_of="2013-07-08",
        labelled=["2013-07-05"],
        training_set="y",
        champion=Champion("1", "2013-01-02", "2013-01-01"),
        requests=requests,
        refused="two keys are equal",
    )
    decision = decide(facts, Retrain(when=["age"], monthly_budget=2), grain="day")
    assert decision.signals["obstacles"] == ["refused", "nothing_new", "cooldown", "budget"]
    assert len(decision.reasons) == 5, "each obstacle, and the signal"
    assert "obstacles" not in decide(later()).signals, "nothing fires, so nothing is prevented"


def test_a_rejected_challenger_is_not_asked_for_again_until_newer_labels_came():
    rejected = Request("2013-06", "2013-05", "t5")
    no_labels_since = later(labelled=MONTHS[:5], requests=[rejected], training_set="t5", **DRIFTING)
    assert not decide(no_labels_since).ask
    assert decide(no_labels_since).reasons[0] == (
        "nothing new to learn: a training with labels up to 2013-05 was already asked for as of"
        " 2013-06"
    )
    assert decide(replace(no_labels_since, labelled=MONTHS[:6])).ask


def test_labels_that_were_taken_back_do_not_make_an_older_training_set_new():
    asked = Request("2013-06", "2013-06", "t6")
    fewer = later(labelled=MONTHS[:5], requests=[asked], training_set="t5", **DRIFTING)
    assert "a training with labels up to 2013-06 was already asked" in decide(fewer).reasons[0]


def test_labels_that_the_champion_has_and_that_were_taken_back_are_no_correction():
    trained = Request(CHAMPION.as_of, CHAMPION.known_up_to, "champion's")
    fewer = later(labelled=MONTHS[:1], requests=[trained], training_set="t1", **DRIFTING)
    said = decide(fewer).reasons[0]
    assert "the newest labelled partition is 2013-01, and champion 1 knows all up to" in said


def test_corrected_labels_are_new_to_learn_from():
    rejected = Request("2013-06", "2013-05", "t5")
    facts = later(labelled=MONTHS[:5], requests=[rejected], training_set="t5", **DRIFTING)
    assert not decide(facts).ask
    assert decide(replace(facts, training_set="t5 with corrected labels")).ask


def test_corrected_labels_of_the_champions_own_holdout_are_new_to_learn_from():
    trained = Request(CHAMPION.as_of, CHAMPION.known_up_to, "champion's")
    labelled = [month for month in MONTHS if month <= CHAMPION.known_up_to]
    facts = later(labelled=labelled, requests=[trained], training_set="champion's", **DRIFTING)
    assert "nothing new to learn" in decide(facts).reasons[0]
    assert decide(replace(facts, training_set="corrected")).ask
    # Of a champion whose request is not known nothing can be said.
    assert not decide(replace(facts, requests=[], training_set="corrected")).ask


def test_partitions_that_wait_for_labels_are_named_the_newest_three():
    words = [f"2013-0{month} has 25% of its labels, 90% needed" for month in range(1, 6)]
    said = decide(later(incomplete=words[:1])).reasons
    assert said[-1] == "waits for labels: 2013-01 has 25% of its labels, 90% needed"
    assert decide(later(incomplete=words)).reasons[-4:] == [
        *(f"waits for labels: {each}" for each in words[2:]),
        "2 more wait for labels",
    ]


def test_the_same_as_of_is_asked_for_once():
    decision = decide(later(requests=[Request("2013-07", "2013-05", "t5")], **DRIFTING))
    assert not decision.ask
    assert decision.reasons[0] == "already asked for as of 2013-07"


@pytest.mark.parametrize(
    ("last", "ask"), [("2013-07-04", False), ("2013-07-03", True), ("2013-06-01", True)]
)
def test_cooldown_in_partition_dates(last, ask):
    labelled = [f"2013-07-{day:02}" for day in range(1, 10)]
    facts = Facts(
        as_of="2013-07-10",
        labelled=labelled,
        training_set="t",
        champion=Champion("1", "2013-01-02", "2013-01-01"),
        requests=[Request(last, "2013-01-05", "x")],
    )
    decision = decide(facts, Retrain(when=["age"]), grain="day")
    assert decision.ask is ask
    if not ask:
        assert decision.reasons[0] == (
            "cooling down: asked as of 2013-07-04, 6 days before 2013-07-10; 7 days needed"
        )


@pytest.mark.parametrize(("spent", "ask"), [(1, True), (2, False)])
def test_monthly_budget(spent, ask):
    requests = [Request(f"2013-07-{day:02}", "2013-01-05", "x") for day in range(1, spent + 1)]
    facts = Facts(
        as_of="2013-07-30",
        labelled=["2013-07-29"],
        training_set="t",
        champion=Champion("1", "2013-01-02", "2013-01-01"),
        requests=[Request("2013-06-29", "2013-01-04", "w"), *requests],
    )
    decision = decide(facts, Retrain(when=["age"], monthly_budget=2), grain="day")
    assert decision.ask is ask
    if not ask:
        assert decision.reasons[0] == ("budget spent: 2 trainings asked for in 2013-07, 2 allowed")
    next_month = replace(facts, as_of="2013-08-01", labelled=["2013-07-30"], requests=requests)
    assert decide(
        next_month, Retrain(when=["age"], monthly_budget=2, cooldown=timedelta(0)), "day"
    ).ask


@pytest.mark.parametrize(
    ("pending", "words"),
    [
        (MONTHS[:1], "2013-01"),
        (MONTHS[:3], "2013-01, 2013-02, 2013-03"),
        (MONTHS[:5], "2013-01, 2013-02, 2013-03 and 2 more"),
    ],
)
def test_a_first_training_waits_for_what_has_landed(pending, words):
    facts = Facts("2013-06", MONTHS[:6], "t6", pending=pending)
    decision = decide(facts)
    assert not decision.ask
    assert decision.reasons[0] == f"waits for what has landed before: {words}"
    assert decision.reasons[1].startswith("no champion yet; 6 labelled partitions")
    assert decide(replace(facts, pending=[])).ask


def test_a_first_training_that_is_not_due_yet_says_only_that():
    facts = Facts("2013-06", MONTHS[:1], "t1", pending=["2013-02"])
    assert decide(facts).reasons == [
        "no champion yet; 1 labelled partitions up to 2013-01, 2 needed"
    ]


def test_a_champion_is_replaced_without_waiting():
    assert decide(later(pending=["2013-01"], **DRIFTING)).ask


def test_obstacles_hold_for_first_trainings_too():
    facts = Facts("2013-07-05", ["2013-07-03", "2013-07-04"], "t2", requests=[
        Request("2013-07-04", "2013-07-03", "t1"),
    ])  # fmt: skip
    decision = decide(facts, grain="day")
    assert not decision.ask
    assert decision.reasons[0].startswith("cooling down: asked as of 2013-07-04, 1 days before")


@given(
    drift=st.text("+-?", max_size=9),
    decay=st.text("+-?", max_size=9),
    labelled=st.integers(0, 11),
    asked=st.lists(st.sampled_from(MONTHS), max_size=4, unique=True),
    has_champion=st.booleans(),
)
def test_whatever_the_facts(drift, decay, labelled, asked, has_champion):
    length = min(len(drift), len(decay))
    facts = Facts(
        as_of="2013-12",
        labelled=MONTHS[:labelled],
        training_set=f"t{labelled}",
        champion=CHAMPION if has_champion else None,
        windows=windows("2013-03", drift[:length], decay[:length]),
        requests=[Request(m, MONTHS[max(0, MONTHS.index(m) - 1)], "x") for m in sorted(asked)],
    )
    decision = decide(facts)
    assert decision == decide(facts)
    assert decision.reasons
    if decision.ask:  # then it never asks for the same again
        request = Request(facts.as_of, decision.signals["newest_labelled"], facts.training_set)
        again = replace(facts, requests=[*facts.requests, request])
        assert not decide(again).ask
        assert not decide(replace(again, as_of="2014-06")).ask
        assert labelled >= 2 if not has_champion else MONTHS[labelled - 1] > "2013-02"


# ---- a year


@dataclass
class World:
    """Lake, monitor and gate in miniature: month M lands with the outcomes of M-1."""

    drifting: set[str]
    decayed: set[str]
    rejected: set[str]
    champion: Champion | None = None
    scored_by: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    versions: int = 0
    told: list[tuple[str, str, str]] = field(default_factory=list)

    def land(self, month: str) -> None:
        """Let a month happen."""
        position = MONTHS.index(month)
        if self.champion:
            self.scored_by[month] = self.champion.version
        # The trigger runs after the month's drift, and again after the outcomes of the month
        # before.
        for with_labels_of_previous in (False, True):
            labelled = MONTHS[: max(0, position - 1 + with_labels_of_previous)]
            facts = Facts(
                as_of=month,
                labelled=labelled,
                training_set=f"t{len(labelled)}",
                champion=self.champion,
                windows=self._windows(labelled),
                requests=list(self.requests),
            )
            decision = decide(facts)
            if decision.ask:
                self.requests.append(Request(month, labelled[-1], facts.training_set))
                self._train(month, labelled[-1], decision.reasons[0])

    def _windows(self, labelled: list[str]) -> list[Window]:
        return [
            Window(m, m in self.drifting, (m in self.decayed) if m in labelled else None)
            for m, version in self.scored_by.items()
            if self.champion and version == self.champion.version and m > self.champion.known_up_to
        ]

    def _train(self, as_of: str, holdout: str, reason: str) -> None:
        self.versions += 1
        promoted = as_of not in self.rejected
        if promoted:
            self.champion = Champion(str(self.versions), as_of, holdout)
        self.told.append((as_of, "promoted" if promoted else "rejected", reason))


def year(drifting=(), decayed=(), rejected=()) -> World:
    world = World(set(drifting), set(decayed), set(rejected))
    for month in MONTHS:
        world.land(month)
    return world


FIRST = (
    "2013-03",
    "promoted",
    "no champion yet; 2 labelled partitions up to 2013-02, 2 needed",
)


def test_a_calm_year_trains_once_and_again_by_age():
    world = year()
    assert world.told == [
        FIRST,
        # 184 days from the first of March to the first of September.
        ("2013-09", "promoted",
         "champion 1 was trained as of 2013-03, 184 days before 2013-09; due at 180 days"),
    ]  # fmt: skip
    # September's trigger ran first when August's labels were missing: July was new enough already.
    assert world.champion == Champion("2", "2013-09", "2013-07")


def test_a_year_of_drift():
    world = year(drifting={"2013-04", "2013-05", "2013-07", "2013-09", "2013-10"},
                 rejected={"2013-09"})  # fmt: skip
    drifted = (
        "predictions drifted in 2 of the last {} windows ({}), 2 of 3 needed;"
        " the latest, {}, is one of them"
    )
    assert world.told == [
        FIRST,
        ("2013-05", "promoted", drifted.format(2, "2013-04, 2013-05", "2013-05")),
        # April and May were the old champion's: June to August count, and July alone drifted.
        ("2013-09", "rejected", drifted.format(3, "2013-07, 2013-09", "2013-09")),
        # Turned down in September; in October newer labels came and it still drifts.
        ("2013-10", "promoted", drifted.format(3, "2013-09, 2013-10", "2013-10")),
    ]


def test_a_year_of_decay_is_noticed_when_the_outcomes_come():
    world = year(decayed={"2013-04", "2013-05"})
    # May's outcomes land with June.
    assert [(as_of, verdict) for as_of, verdict, _ in world.told] == [
        ("2013-03", "promoted"), ("2013-06", "promoted"), ("2013-12", "promoted"),
    ]  # fmt: skip
    assert world.told[1][2].startswith("performance decayed in 2 of the last 2 windows")
    assert world.champion.known_up_to == "2013-10"


def test_a_year_of_rejected_first_trainings_asks_once_a_month():
    world = year(rejected=set(MONTHS))
    # In March with Jan and Feb; in April the trigger waits until March's labels are there, and so
    # on.
    assert [as_of for as_of, _, _ in world.told] == MONTHS[2:]
    assert [request.newest_labelled for request in world.requests] == MONTHS[1:11]
