"""Looks at one holdout."""

import pytest

from include.deploy.looks import alpha_of, look_of
from tests.support.registries import local_registry


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_all_looks_together_spend_what_is_declared(confidence):
    spent = [alpha_of(confidence, look) for look in range(1, 40)]
    assert sum(spent) == pytest.approx(1 - confidence)
    assert spent == sorted(spent, reverse=True)
    assert sum(spent[:20]) < 1 - confidence


def test_versions_judged_on_the_same_holdout_are_counted(tmp_path):
    registry = local_registry(tmp_path)

    def version(verdict: str | None = None, **tags: str) -> str:
        name = f"train {len(registry.versions('tiny'))}"
        run_id = registry.run("tiny", name, name, {})
        client = registry.client
        if not registry.versions("tiny"):
            client.create_registered_model("tiny")
        verdicts = {} if verdict is None else {"verdict": verdict}
        return str(
            client.create_model_version(
                "tiny", "file:///nowhere", run_id=run_id, tags={**tags, **verdicts}
            ).version
        )

    version("promoted", holdout_from="2024-01", holdout_partition="2024-01")
    before = version("rejected", holdout_partition="2024-02")  # of before `holdout_from`
    version("promoted", holdout_from="2024-02", refit_of=before)
    version(holdout_from="2024-02")  # not judged yet
    own = version(holdout_from="2024-02", holdout_partition="2024-02")
    assert look_of("tiny", own, "2024-02", registry) == 2

    registry.client.set_model_version_tag("tiny", own, "verdict", "rejected")
    assert look_of("tiny", own, "2024-02", registry) == 2, "judging it again is the same look"
    later = version(holdout_from="2024-02")
    assert look_of("tiny", later, "2024-02", registry) == 3

    registry.client.set_model_version_tag("tiny", later, "holdout_from", "1999-01")
    assert look_of("tiny", later, "2024-02", registry) == 3, "its own tag does not matter"
