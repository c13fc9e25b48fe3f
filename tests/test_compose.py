"""The image and the cluster in containers, read as files: no Docker is needed to check what must hold."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from sqlalchemy import make_url

from fumikura.core.settings import read_settings
from tests.servers import START_TIMEOUT_S, free_port, redis_program, wait_for_answer

ROOT = Path(__file__).parents[1]
OURS = {"migrate", "worker", "worker-cpu", "fumikura", "flower"}
SERVERS = {"redis", "postgres", "prometheus", "grafana"}
#: ${NAME:?why}: Compose refuses to start while the variable is unset or empty.
REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services: dict[str, Any] = compose["services"]
    return services


@pytest.fixture
def made_secrets(tmp_path: Path) -> Path:
    """The folder that `make secrets` fills."""
    folder = tmp_path / "secrets"
    subprocess.run([ROOT / "deploy" / "make_secrets.sh", folder], check=True, capture_output=True)
    return folder


def test_the_cluster_has_all_its_parts(services: dict[str, Any]) -> None:
    assert services.keys() == OURS | SERVERS


@pytest.mark.parametrize("name", sorted((OURS | SERVERS) - {"migrate", "fumikura"}))
def test_every_server_has_a_health_check(services: dict[str, Any], name: str) -> None:
    assert services[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", ["worker", "worker-cpu"])
def test_workers_start_when_the_tables_are_there_and_the_servers_answer(
    services: dict[str, Any], name: str
) -> None:
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services[name]["depends_on"] == {
        "migrate": {"condition": "service_completed_successfully"},
        "postgres": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
    }


def test_one_profile_has_a_worker_with_a_gpu_and_one_a_worker_without(services: dict[str, Any]) -> None:
    with_gpu, without = dict(services["worker"]), dict(services["worker-cpu"])
    [device] = with_gpu.pop("deploy")["resources"]["reservations"]["devices"]

    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert (with_gpu.pop("profiles"), without.pop("profiles")) == (["gpu"], ["cpu"])
    assert with_gpu == without


def test_a_cluster_without_a_worker_does_not_start(services: dict[str, Any]) -> None:
    # What runs on every start asks for the variable that chooses one.
    assert "profiles" not in services["migrate"]
    assert REQUIRED.findall(str(services["migrate"]["labels"])) == ["COMPOSE_PROFILES"]


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


def test_scans_are_mounted_read_only_and_what_commands_write_goes_to_a_folder(
    services: dict[str, Any],
) -> None:
    targets = {name: [one.rpartition("}:")[2] for one in services[name].get("volumes", [])] for name in OURS}

    assert targets["worker"] == targets["worker-cpu"] == ["/scans:ro"]
    assert targets["fumikura"] == ["/scans:ro", "/data"]
    # Where a command stands in the image, so that it writes there without being told.
    assert "\nWORKDIR /data\n" in (ROOT / "Dockerfile").read_text()


def test_no_container_runs_as_root_or_writes_outside_its_volumes(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["tmpfs"][0].partition(":")[0] == "/tmp", name
        assert name in OURS or service["user"] not in ("", "root", "0"), name  # ours: see the image, below


def test_no_container_has_more_power_than_it_needs(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] > 0, name
        assert name in SERVERS or service["mem_limit"], name  # hostile files are opened in ours


def test_base_images_are_named_by_digest(services: dict[str, Any]) -> None:
    pinned = re.compile(r"[a-z/]+:[\w.-]+@sha256:[0-9a-f]{64}")
    stages = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    bases = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert set(stages) == {"${PYTHON_IMAGE}"}
    assert len(bases) == 1
    for image in (*bases, *(services[name]["image"] for name in SERVERS)):
        assert pinned.fullmatch(image), image


def test_digests_are_renewed_in_place(tmp_path: Path) -> None:
    for name in ("Dockerfile", "docker-compose.yml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\necho sha256:{'5' * 64}\n")
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"}

    subprocess.run([ROOT / "deploy" / "renew_digests.sh"], cwd=tmp_path, env=environment, check=True)

    for name in ("Dockerfile", "docker-compose.yml"):
        before, after = (ROOT / name).read_text(), (tmp_path / name).read_text()
        assert after == re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'5' * 64}", before) != before


def test_redis_keeps_what_it_was_given_and_asks_for_the_password(
    services: dict[str, Any], made_secrets: Path, tmp_path: Path
) -> None:
    port = free_port()
    *shell, script = services["redis"]["command"]
    script = script.replace("$$", "$").replace("/run/secrets", str(made_secrets))
    script = script.replace("dir /data", f"dir {tmp_path}\nport {port}")
    environment = {**os.environ, "PATH": f"{redis_program().parent}:{os.environ['PATH']}"}
    password = (made_secrets / "redis_password").read_text().strip()

    with subprocess.Popen([*shell, script], env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            with redis.Redis(port=port, password=password) as client:
                wait_for_answer(client.ping, redis.exceptions.ConnectionError, process, tmp_path)
                kept = {name: client.config_get(name)[name] for name in ("appendonly", "maxmemory-policy")}
            with redis.Redis(port=port) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
                stranger.ping()
        finally:
            process.terminate()
            process.wait(START_TIMEOUT_S)

    assert kept == {"appendonly": "yes", "maxmemory-policy": "noeviction"}
    assert password not in " ".join([*shell, script])


def test_passwords_stand_in_files_alone(services: dict[str, Any]) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    used = {secret for service in services.values() for secret in service.get("secrets", [])}

    assert compose["secrets"] == {name: {"file": f"./secrets/{name}"} for name in used}
    for name, service in services.items():
        for variable in service.get("environment", {}):
            is_secret = re.search("PASSWORD|SECRET|AUTH|LOGIN|(DATABASE|BROKER)_URL", variable)
            is_handed_on = variable.startswith("AWS_")
            assert not is_secret or variable.endswith("_FILE") or is_handed_on, f"{name}: {variable}"
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_made_passwords_fit_each_other_and_stay_when_made_again(
    services: dict[str, Any], made_secrets: Path
) -> None:
    files = {path.name: path.read_text().strip() for path in made_secrets.iterdir()}
    again = subprocess.run(
        [ROOT / "deploy" / "make_secrets.sh", made_secrets], check=True, capture_output=True
    )
    environment = {
        name: value.replace("/run/secrets", str(made_secrets))
        for name, value in services["worker"]["environment"].items()
        if value and name.endswith("_FILE")
    }
    settings = read_settings(environment)
    database, broker = make_url(settings.database_url), make_url(settings.broker_url or "")

    assert files == {path.name: path.read_text().strip() for path in made_secrets.iterdir()}
    assert (database.host, database.password) == ("postgres", files["postgres_password"])
    assert (broker.host, broker.password) == ("redis", files["redis_password"])
    assert len(set(files.values())) == 6
    assert min(map(len, files.values())) >= 48
    assert all(value.encode() not in again.stdout for value in files.values())
    # Shut to others on this machine, open to the users of the images.
    assert stat.S_IMODE(made_secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made_secrets.iterdir()} == {0o644}


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
    dockerfile = (ROOT / "Dockerfile").read_text().replace("${LOCK_FILE}", "requirements.lock")
    copied = " ".join(re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE)).split()
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]

    assert [name for name in copied if not any(fnmatch(name, pattern) for pattern in let_in)] == []
    assert [pattern for pattern in let_in if not any(fnmatch(name, pattern) for name in copied)] == []
