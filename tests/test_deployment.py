"""What deploy/ offers for SLURM, Kubernetes and systemd, as far as it can be tried without them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from sqlalchemy import text

from fumikura.cli.worker import command as worker_command
from fumikura.core.settings import Settings, variable
from fumikura.core.store.connecting import Engine
from tests.simple_launcher import wait_until
from tests.simple_store import make_pages, start_run

ROOT = Path(__file__).parents[1]
KUBERNETES = ROOT / "deploy" / "kubernetes"
BATCH = ROOT / "deploy" / "slurm" / "read.sbatch"
UNIT = ROOT / "deploy" / "systemd" / "fumikura-worker.service"
MANIFESTS = sorted(path for path in KUBERNETES.rglob("*.yaml") if path.name != "kustomization.yaml")


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def pods() -> dict[str, Any]:
    """What each manifest that starts containers says of a pod."""
    found = {path.stem: documents(path)[0]["spec"].get("template") for path in MANIFESTS}
    return {name: template["spec"] for name, template in found.items() if template}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_are_what_kubernetes_takes(path: Path) -> None:
    for document in documents(path):
        if document["apiVersion"].startswith("keda.sh/"):
            continue  # no part of Kubernetes itself
        document["metadata"].setdefault("name", document["metadata"].pop("generateName", ""))
        kubernetes_validate.validate(document, "1.33", strict=True)


def test_no_pod_has_more_power_than_it_needs() -> None:
    assert pods().keys() == {"worker", "upgrade", "enqueue", "read-until-empty"}
    for name, pod in pods().items():
        [container] = pod["containers"]
        safe = container["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False, name
        assert (safe["readOnlyRootFilesystem"], safe["allowPrivilegeEscalation"]) == (True, False), name
        assert safe["capabilities"] == {"drop": ["ALL"]}, name
        assert container["resources"]["limits"]["memory"], name


def test_passwords_are_mounted_and_in_no_variable() -> None:
    for name, pod in pods().items():
        [container] = pod["containers"]
        values = {item["name"]: item["value"] for item in container["env"]}
        assert values["FUMIKURA_DATABASE_URL_FILE"] == "/run/secrets/fumikura/database_url", name
        assert values["FUMIKURA_BROKER_URL_FILE"] == "/run/secrets/fumikura/broker_url", name
        assert {"name": "secrets", "mountPath": "/run/secrets/fumikura", "readOnly": True} in container[
            "volumeMounts"
        ]


def test_every_variable_is_one_that_is_read() -> None:
    known = {variable(name) for name in Settings.__slots__}
    files = {f"{variable(name)}_FILE" for name in ("database_url", "broker_url")}
    for pod in pods().values():
        assert {item["name"] for item in pod["containers"][0]["env"]} <= known | files


def test_probes_ask_where_the_worker_answers() -> None:
    [container] = pods()["worker"]["containers"]
    values = {item["name"]: item["value"] for item in container["env"]}

    assert values["FUMIKURA_METRICS_HOST"] == "0.0.0.0"
    assert container["ports"] == [{"name": "metrics", "containerPort": int(values["FUMIKURA_METRICS_PORT"])}]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "metrics"}


def test_pods_have_the_time_to_hand_their_pages_back() -> None:
    for name in ("worker", "read-until-empty"):
        assert pods()[name]["terminationGracePeriodSeconds"] > 10


def test_the_autoscaler_asks_for_pages_that_wait_or_are_in_hand(engine: Engine) -> None:
    scaled, login = documents(KUBERNETES / "autoscaler.yaml")
    [trigger] = scaled["spec"]["triggers"]
    deployment = documents(KUBERNETES / "base" / "worker.yaml")[0]
    start_run(engine, make_pages(3))

    with engine.connect() as connection:
        found = connection.execute(text(trigger["metadata"]["query"])).scalar_one()

    assert found == 3
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert trigger["authenticationRef"]["name"] == login["metadata"]["name"]


def test_the_layer_with_gpus_changes_the_deployment_alone() -> None:
    layer = documents(KUBERNETES / "gpu" / "kustomization.yaml")[0]
    [patch] = layer["patches"]
    [change] = yaml.safe_load(patch["patch"])

    *path, resource = change["path"].strip("/").split("/")
    place: Any = documents(KUBERNETES / "base" / "worker.yaml")[0]
    for step in path:
        place = place[int(step) if step.isdigit() else step]

    assert patch["target"]["name"] == "fumikura-worker"
    assert resource.replace("~1", "/") == "nvidia.com/gpu"
    assert "memory" in place


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/fumikura/bin/fumikura", sys.executable))

    found = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)

    assert (found.returncode, [line for line in found.stderr.splitlines() if unit.name in line]) == (0, [])


@pytest.mark.parametrize("words", [UNIT.read_text(), BATCH.read_text()], ids=["systemd", "slurm"])
def test_options_are_options_of_the_command(words: str) -> None:
    [line] = [line for line in words.splitlines() if "fumikura worker --" in line]
    options = [word for word in line.split() if word.startswith("--")]

    assert options
    assert {option for one in worker_command.params for option in one.opts} >= set(options)


@pytest.fixture
def batch_job(tmp_path: Path) -> Callable[[str], tuple[subprocess.Popen[bytes], Path]]:
    """Start read.sbatch as SLURM would, with a worker that does as it is told, and a log of what is asked."""
    log = tmp_path / "log"

    def start(worker: str) -> tuple[subprocess.Popen[bytes], Path]:
        programs = {"fumikura": worker, "scontrol": f'echo "scontrol $*" >> {log}'}
        for name, script in programs.items():
            (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n".replace("LOG", str(log)))
            (tmp_path / name).chmod(0o755)
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "7",
            "SLURM_ARRAY_JOB_ID": "5",
            "SLURM_ARRAY_TASK_ID": "2",
        }
        return subprocess.Popen(["bash", BATCH], env=environment), log

    return start


@pytest.mark.parametrize("code", [0, 1])
def test_a_batch_job_ends_as_its_worker_does(batch_job: Any, code: int) -> None:
    process, log = batch_job(f'echo "fumikura $*" >> LOG; exit {code}')

    assert process.wait(30) == code
    assert log.read_text() == "fumikura worker --until-empty --log-format json\n"


def test_a_batch_job_whose_time_is_over_lets_the_worker_end_and_comes_again(batch_job: Any) -> None:
    hands_back = "trap 'sleep 0.5; echo handed back >> LOG; exit 130' TERM; echo begins >> LOG"
    process, log = batch_job(f"{hands_back}; while true; do sleep 0.1; done")
    wait_until(lambda: log.exists() and "begins" in log.read_text())
    time.sleep(0.2)

    process.send_signal(signal.SIGTERM)

    assert process.wait(30) == 130
    assert log.read_text().splitlines() == ["begins", "handed back", "scontrol requeue 5_2"]
