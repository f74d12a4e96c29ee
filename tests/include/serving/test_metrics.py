from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from include.serving.metrics import Metrics


def test_text_is_what_prometheus_reads() -> None:
    metrics = Metrics()
    metrics.answered("tiny", 200, model_version="7", rows=3, latency_s=0.005)
    metrics.answered("tiny", 200, model_version="7", rows=1, latency_s=0.3)
    metrics.answered("tiny", 400, error_code="BAD_REQUEST", model_version="7", latency_s=0.1)
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }
    latency = "flywheel_serving_latency_seconds"
    assert samples["flywheel_serving_requests_total", "200", "tiny"] == 2
    assert samples["flywheel_serving_requests_total", "400", "tiny"] == 1
    assert samples["flywheel_serving_errors_total", "BAD_REQUEST", "tiny"] == 1
    assert samples["flywheel_serving_predictions_total", "tiny"] == 4
    assert samples[f"{latency}_count", "7", "tiny"] == 2, "an error's latency is not a prediction's"
    assert samples[f"{latency}_bucket", "0.004", "7", "tiny"] == 0
    assert samples[f"{latency}_bucket", "0.006", "7", "tiny"] == 1
    assert samples[f"{latency}_bucket", "0.5", "7", "tiny"] == 2
    assert samples[f"{latency}_sum", "7", "tiny"] == 0.305


def test_use_cases_that_are_gone_are_forgotten() -> None:
    metrics = Metrics()
    for name in ("tiny", "gone", "gone_too"):
        metrics.answered(name, 200, model_version="7", rows=3, latency_s=0.005)
        metrics.answered(name, 400, error_code="BAD_REQUEST")
        metrics.flagged(name, {"out_of_range": {"x": [0, 3]}})
    metrics.forget_all_but(["tiny", "new"])
    text = metrics.text().decode()
    assert "gone" not in text
    assert 'flywheel_serving_predictions_total{use_case="tiny"} 3.0' in text
    counted = (
        'flywheel_serving_out_of_range_total{column="x",outcome="flagged",use_case="tiny"} 2.0'
    )
    assert counted in text


def test_two_applications_do_not_share_counters() -> None:
    one, other = Metrics(), Metrics()
    one.log_dropped.inc()
    assert b"flywheel_serving_log_dropped_total 0.0" in other.text()
