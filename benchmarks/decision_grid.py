"""The simulated rows of the table: which world, how many rows, which limit."""

from __future__ import annotations

from functools import partial

from benchmarks.decision_monitor import no_change
from benchmarks.decision_rare import few_positives, slices
from benchmarks.decision_scenarios import (
    NOTHING,
    Scenario,
    Setting,
    both_questions,
    configuration,
    refresh,
    three_looks,
)
from benchmarks.decision_worlds import (
    FLIGHT_ROWS,
    AucWorld,
    Kind,
    auc_as_flights,
    auc_rho_02,
    mae_as_flights,
    mae_rho_02,
)
from include.use_cases.amounts import Amount
from include.use_cases.schema import Deploy

LEVEL = 0.07
"""The issue's limit of what 5 of 100 cases may do."""
POWER = 0.70
BLOCKED = 0.05
RARE = 0.03
GAIN = 0.02
"""What a power row's challenger truly gains, in ROC AUC."""


def scenarios() -> list[Scenario]:
    """List them, in the order of the table."""
    return [
        *_superiority(),
        *_non_inferiority(),
        *_effects(),
        *_rare(),
        *_decay(),
        Scenario(
            "looks/3",
            "three equal challengers judged on one holdout of 5,000: one is promoted",
            partial(three_looks, Setting(auc_rho_02("settings"), 5_000)),
            LEVEL,
        ),
    ]


def _superiority() -> list[Scenario]:
    """Give equal models, `min_effect` 0: each promotion is false."""
    rows = [
        Scenario(
            f"equal/{name}/{size}",
            f"equal configurations, {name}, n = {size:,}, day ICC .02: promoted as better",
            partial(configuration, Setting(world, size), NOTHING),
            LEVEL,
        )
        for name, world in (("AUC", auc_rho_02("settings")), ("MAE", mae_rho_02("settings")))
        for size in (1_000, 5_000, 50_000)
    ]
    rows += [
        Scenario(
            f"equal/{name}/flights",
            f"equal configurations, {name}, n = {FLIGHT_ROWS:,}, days as on flights: promoted as "
            "better",
            partial(configuration, Setting(world, FLIGHT_ROWS), NOTHING),
            LEVEL,
        )
        for name, world in (
            ("AUC", auc_as_flights("settings")),
            ("MAE", mae_as_flights("settings")),
        )
    ]
    both = Scenario(
        "equal/both",
        "equal configurations, and the champion does not know the holdout: both questions asked, "
        "n = 5,000: promoted as better",
        partial(both_questions, Setting(auc_rho_02("settings"), 5_000)),
        LEVEL,
    )
    return [*rows, both]


def _non_inferiority() -> list[Scenario]:
    """Give a refresh: the same configuration, fitted on newer data."""
    margin = Deploy().margin.within(1)
    worlds = (
        ("AUC/5000", "AUC, n = 5,000, day ICC .02", Setting(auc_rho_02("older"), 5_000)),
        ("AUC/flights", "AUC, days as on flights", Setting(auc_as_flights("older"), FLIGHT_ROWS)),
        ("MAE/5000", "MAE, n = 5,000, day ICC .02", Setting(mae_rho_02("older"), 5_000)),
        ("MAE/flights", "MAE, days as on flights", Setting(mae_as_flights("older"), FLIGHT_ROWS)),
    )
    found = []
    for name, words, setting in worlds:
        lost = Setting(setting.world, setting.rows, share=-margin)
        found.append(
            Scenario(
                f"margin/{name}",
                f"a refresh that truly loses the whole margin (10 %), {words}: promoted",
                partial(refresh, lost),
                LEVEL,
            )
        )
    for name, words, setting in worlds:
        found.append(
            Scenario(
                f"refresh/{name}",
                f"a refresh that is truly as good, {words}: promoted",
                partial(refresh, setting),
            )
        )
    return found


def _effects() -> list[Scenario]:
    """Give true gains: exactly `min_effect`, and .02."""
    least: Amount = Deploy().min_effect
    share = least.within(1)
    at_least = [
        Scenario(
            f"min_effect/{name}",
            f"the true gain is `min_effect` ({least}), {name}, n = 50,000: promoted as better",
            partial(configuration, Setting(world, 50_000, share=share), least),
            LEVEL,
        )
        for name, world in (("AUC", auc_rho_02("settings")), ("MAE", mae_rho_02("settings")))
    ]
    said: dict[Kind, str] = {
        "settings": "two settings of one kind of model (scores correlate .91)",
        "kinds": "two kinds of model (scores correlate .68)",
    }
    power = [
        Scenario(
            f"power/{kind}",
            f"the true gain is .02 AUC, n = 5,000, day ICC .02, {words}: promoted",
            partial(configuration, Setting(auc_rho_02(kind), 5_000, gain=GAIN), least),
            POWER,
            "at least",
        )
        for kind, words in said.items()
    ]
    on_flights = Scenario(
        "power/flights",
        "the true gain is .02 AUC, a month as on flights, two settings of one kind: promoted",
        partial(configuration, Setting(auc_as_flights("settings"), FLIGHT_ROWS, gain=GAIN), least),
    )
    return [*at_least, *power, on_flights]


def _rare() -> list[Scenario]:
    """Give few positives, and slices of them."""
    world, usual = auc_rho_02("settings"), auc_rho_02("settings")
    rare = AucWorld(
        world.correlation, world.score_icc, world.difference_icc, world.class_correlation, RARE
    )
    better = "better by .02 everywhere, 10 slices"
    worse = "better by .02, but in one of 10 slices worse by twice `max_drop`"
    return [
        Scenario(
            "few_positives",
            "4 to 10 positives of 1,000, true gain .15: no verdict that names the reason",
            partial(few_positives, world),
            0.0,
        ),
        Scenario(
            "slices/20000",
            f"{better} of 2,000, 3 % positives: blocked by a slice",
            partial(slices, rare, 20_000, False),
            BLOCKED,
        ),
        Scenario(
            "slices/5000",
            f"{better} of 500, 3 % positives (too few to be judged): blocked by a slice",
            partial(slices, rare, 5_000, False),
            BLOCKED,
        ),
        Scenario(
            "worse_slice/rare",
            f"{worse}, 20,000 rows, 3 % positives: caught",
            partial(slices, rare, 20_000, True),
        ),
        Scenario(
            "worse_slice/usual",
            f"{worse}, 20,000 rows, 23 % positives: caught",
            partial(slices, usual, 20_000, True),
        ),
    ]


def _decay() -> list[Scenario]:
    """Give the monitor a model that does as well as on its holdout."""
    worlds = (
        ("AUC/5000", "AUC, n = 5,000, day ICC .02", Setting(auc_rho_02("settings"), 5_000)),
        ("AUC/flights", "AUC, days as on flights", Setting(auc_as_flights("older"), FLIGHT_ROWS)),
        ("MAE/5000", "MAE, n = 5,000, day ICC .02", Setting(mae_rho_02("settings"), 5_000)),
        ("MAE/flights", "MAE, days as on flights", Setting(mae_as_flights("older"), FLIGHT_ROWS)),
    )
    return [
        Scenario(
            f"decay/{name}",
            f"monitor, nothing has changed, no drop is allowed, {words}: called decay",
            partial(no_change, setting),
            LEVEL,
        )
        for name, words, setting in worlds
    ]
