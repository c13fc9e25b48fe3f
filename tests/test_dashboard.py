"""The Grafana dashboard, the alerts and Prometheus's own file: they ask only for what is exported."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from fumikura.worker.prometheus import Metrics

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"

_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
_ADDED_BY_PROMETHEUS = {"instance", "job"}


def exported() -> dict[str, set[str]]:
    """Names that can be asked for, each with its labels."""
    metrics = Metrics()
    names = {}
    for metric in vars(metrics).values():
        for family in metric.describe() if hasattr(metric, "describe") else ():
            for suffix in _SUFFIXES[family.type]:
                labels = {"le"} if suffix == "_bucket" else set()
                names[f"{family.name}{suffix}"] = {*metric._labelnames, *labels, *_ADDED_BY_PROMETHEUS}
    return names


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "fumikura.json").read_text())
    return read


def queries() -> list[str]:
    of_panels = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    alerts = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    return of_panels + [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("query", queries())
def test_every_query_names_metrics_and_labels_that_a_worker_exports(query: str) -> None:
    names = exported()

    asked = re.findall(r"\b(fumikura_\w+)(?:\{(\w+)[=~!]+)?", query)
    grouped = re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]+)\)", query)))

    assert asked or "up{" in query
    assert {name for name, _ in asked} <= names.keys()
    assert [(name, label) for name, label in asked if label and label not in names[name]] == []
    assert set(grouped) <= {label for name, _ in asked for label in names[name]}


def test_every_metric_is_on_the_dashboard() -> None:
    text = " ".join(queries())

    unseen = [
        name for name in exported() if not name.endswith(("_bucket", "_sum", "_count")) and name not in text
    ]

    assert unseen == []


def test_panels_have_numbers_of_their_own_and_do_not_lie_on_each_other() -> None:
    panels = dashboard()["panels"]

    def covers(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        return {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(covers(one).isdisjoint(covers(other)) for one, other in combinations(panels, 2))
    assert max(x for panel in panels for x, _ in covers(panel)) == 23  # Grafana's grid has 24 columns


def test_the_dashboard_asks_the_data_source_that_is_provisioned() -> None:
    (source,) = yaml.safe_load(
        (DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )["datasources"]

    asked = {target["datasource"]["uid"] for panel in dashboard()["panels"] for target in panel["targets"]}

    assert asked == {source["uid"]}


def test_prometheus_asks_the_workers_of_the_compose_file_where_they_serve() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())

    (job,) = config["scrape_configs"]
    (found,) = job["dns_sd_configs"]

    for name in ("worker", "worker-cpu"):
        assert compose[name]["networks"]["default"]["aliases"] == found["names"]
        assert compose[name]["environment"]["FUMIKURA_METRICS_PORT"] == str(found["port"])
        assert compose[name]["environment"]["FUMIKURA_METRICS_HOST"] == "0.0.0.0"


def test_every_alert_has_its_paragraph_for_the_person_on_call() -> None:
    alerts = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    text = (ROOT / "docs" / "operations.md").read_text()

    names = [rule["alert"] for group in alerts["groups"] for rule in group["rules"]]

    assert names
    assert [name for name in names if f"**{name}**" not in text] == []
