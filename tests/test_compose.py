"""The image and the cluster in containers, read as files: no Docker is needed to check what must hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
#: ${NAME:?why}: Compose refuses to start while the variable is unset or empty.
REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services: dict[str, Any] = compose["services"]
    return services


def test_the_cluster_has_all_its_parts(services: dict[str, Any]) -> None:
    assert services.keys() >= {"redis", "postgres", "migrate", "worker", "prometheus", "grafana", "flower"}


@pytest.mark.parametrize("name", ["redis", "postgres", "worker", "prometheus", "grafana", "flower"])
def test_every_server_has_a_health_check(services: dict[str, Any], name: str) -> None:
    assert services[name]["healthcheck"]["test"]


def test_workers_start_when_the_tables_are_there_and_the_servers_answer(services: dict[str, Any]) -> None:
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["worker"]["depends_on"] == {
        "migrate": {"condition": "service_completed_successfully"},
        "postgres": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
    }


def test_the_worker_reserves_a_gpu(services: dict[str, Any]) -> None:
    [device] = services["worker"]["deploy"]["resources"]["reservations"]["devices"]

    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]


def test_a_worker_has_more_time_to_stop_than_its_launcher_gives_it(services: dict[str, Any]) -> None:
    assert int(services["worker"]["stop_grace_period"].removesuffix("s")) > 10


def test_what_only_watches_is_started_on_demand(services: dict[str, Any]) -> None:
    on_demand = {name for name, service in services.items() if service.get("profiles") == ["watching"]}

    assert on_demand == {"prometheus", "grafana", "flower"}


def test_the_worker_is_asked_for_its_health_where_it_serves_it(services: dict[str, Any]) -> None:
    port = services["worker"]["environment"]["FUMIKURA_METRICS_PORT"]

    assert f"http://127.0.0.1:{port}/healthz" in services["worker"]["healthcheck"]["test"][-1]


def test_no_server_is_reached_from_other_machines(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_file_that_is_mounted_exists(services: dict[str, Any]) -> None:
    volumes = [volume for service in services.values() for volume in service.get("volumes", [])]
    files = [volume.partition(":")[0] for volume in volumes if volume.startswith("./")]

    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_scans_are_mounted_read_only(services: dict[str, Any]) -> None:
    for name in ("worker", "fumikura"):
        assert [volume.rpartition("}:")[2] for volume in services[name]["volumes"]] == ["/scans:ro"]


def test_no_container_runs_as_root_or_writes_outside_its_volumes(services: dict[str, Any]) -> None:
    ours = {"migrate", "worker", "flower", "fumikura"}  # the image's own user, see below
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert "/tmp" in service["tmpfs"], name
        assert name in ours or service["user"] not in ("", "root", "0"), name


def test_redis_keeps_what_it_was_given(services: dict[str, Any]) -> None:
    command = services["redis"]["command"]

    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_no_password_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    secret = re.compile(
        r"(?:PASSWORD|BASIC_AUTH|REDISCLI_AUTH): *(.+)|--requirepass, *\"(.+)\"|://\w*:(.+?)@"
    )

    values = [next(filter(None, groups)) for groups in secret.findall(text)]

    assert len(values) == 8
    assert [value for value in values if not REQUIRED.fullmatch(value)] == []


def test_the_example_names_every_variable_and_gives_no_value() -> None:
    wanted = set(REQUIRED.findall((ROOT / "docker-compose.yml").read_text()))

    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and line[0] != "#"]

    assert set(lines) == {f"{name}=" for name in wanted}


def test_the_image_does_not_run_as_root() -> None:
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    users = re.findall(r"^USER (\S+)$", last_stage, re.MULTILINE)

    assert users
    assert users[-1] not in {"root", "0"}


def test_what_the_image_is_built_from_reaches_the_builder() -> None:
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert {name for names in copied for name in names.split()} == let_in
