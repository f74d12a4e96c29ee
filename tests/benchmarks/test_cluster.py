"""The pure parts of the cluster's benchmarks."""

from __future__ import annotations

import pytest

from benchmarks import cluster_use_cases, cluster_workers
from benchmarks.cluster_costs import Costs
from benchmarks.figures import over_limit
from include.use_cases.loader import load_all


def test_copies_of_a_use_case_load_and_each_lands_in_a_folder_of_its_own(tmp_path):
    names = cluster_use_cases.write_use_cases(tmp_path, 12)
    found = load_all(tmp_path)

    assert found.broken == {}
    assert sorted(found.use_cases) == names
    for name, use_case in found.use_cases.items():
        own = [use_case.ingest.landing, use_case.labels.landing]
        own += [reference.landing for reference in use_case.ingest.references.values()]
        assert all(landing.startswith(f"{name}/") for landing in own)


def test_costs_are_told_for_each_task_the_largest_first():
    costs = Costs(tasks=10, cpu_s={"scheduler": 5.0, "redis": 0.01, "worker-1": 20.0}, requests=73)

    assert costs.told() == (
        "10 tasks; for each: processor seconds worker-1 2.00, scheduler 0.50; 7.3 API requests"
    )


@pytest.mark.parametrize(("two", "missed"), [(47.0, []), (48.0, ["waiting_tasks"])])
def test_two_workers_must_be_1_7_times_as_fast_where_tasks_wait(two, missed):
    figures = cluster_workers._gain((80.0, two), (60.0, 58.0))

    assert [words.split("_two")[0] for words in over_limit(figures)] == missed
    assert "one worker 80 s, two workers" in figures[0].against


def test_computing_tasks_may_not_become_slower_by_a_second_worker():
    (words,) = over_limit(cluster_workers._gain((80.0, 40.0), (40.0, 50.0)))

    assert words.startswith("computing_tasks")
