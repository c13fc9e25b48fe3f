"""Which devices are read on, and what a worker process sees of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fumikura.core.errors import UsageError
from fumikura.core.settings import Settings, read_settings
from fumikura.worker import devices
from fumikura.worker.devices import (
    child_environment,
    device_within,
    find_devices,
    free_memory,
    n_cores,
    worker_devices,
)


def test_a_list_of_devices_is_taken_as_given() -> None:
    assert find_devices("cuda:1, CPU") == ["cuda:1", "cpu"]
    assert find_devices("cpu:2") == ["cpu", "cpu"]


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", "", "cpu,"])
def test_what_is_no_device_is_refused(wanted: str) -> None:
    with pytest.raises(UsageError, match="is no device"):
        find_devices(wanted)


def test_auto_means_all_cuda_devices_that_torch_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_has_driver", lambda: True)
    monkeypatch.setattr(devices, "_COUNT_CUDA", "print(2)")

    assert find_devices("auto") == ["cuda:0", "cuda:1"]


def test_auto_means_the_cpu_where_torch_sees_no_cuda_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_has_driver", lambda: True)
    monkeypatch.setattr(devices, "_COUNT_CUDA", "raise ImportError('built without CUDA')")

    assert find_devices("auto") == ["cpu"]


def test_a_worker_sees_its_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    environment = child_environment(Settings(), "cuda:2", 4)

    assert environment["CUDA_VISIBLE_DEVICES"] == "2"
    assert device_within("cuda:2") == "cuda:0"


def test_devices_are_counted_among_those_that_the_user_made_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7f")

    assert child_environment(Settings(), "cuda:1", 2)["CUDA_VISIBLE_DEVICES"] == "GPU-7f"
    with pytest.raises(UsageError, match="cuda:2 does not exist"):
        child_environment(Settings(), "cuda:2", 2)


def test_a_worker_on_the_cpu_sees_no_cuda_device() -> None:
    assert child_environment(Settings(), "cpu", 1)["CUDA_VISIBLE_DEVICES"] == ""


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "n_cores", lambda: 9)

    assert child_environment(Settings(), "cpu", 4)["OMP_NUM_THREADS"] == "2"
    assert child_environment(Settings(), "cpu", 20)["OMP_NUM_THREADS"] == "1"
    assert child_environment(Settings(threads=5), "cpu", 4)["OMP_NUM_THREADS"] == "5"


def test_a_worker_gets_the_settings_of_its_launcher() -> None:
    settings = Settings(lease_s=7.5, broker_url="redis://somewhere/1", segmenter_path=Path("my.safetensors"))

    environment = child_environment(settings, "cpu", 1)

    assert read_settings(environment) == settings.overridden(threads=n_cores())
    assert environment["PATH"] == os.environ["PATH"]


def test_without_a_gpu_auto_means_a_worker_for_each_core_as_far_as_memory_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "_has_driver", lambda: False)
    monkeypatch.setattr(devices, "n_cores", lambda: 6)

    monkeypatch.setattr(devices, "free_memory", lambda: 100 << 30)
    assert worker_devices(Settings()) == ["cpu"] * 6
    monkeypatch.setattr(devices, "free_memory", lambda: 5 << 30)
    assert worker_devices(Settings()) == ["cpu"] * 2
    monkeypatch.setattr(devices, "free_memory", lambda: 1 << 30)
    assert worker_devices(Settings()) == ["cpu"]


def test_as_many_workers_as_one_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_has_driver", lambda: False)

    assert worker_devices(Settings(devices="cpu")) == ["cpu"]
    assert worker_devices(Settings(workers=3)) == ["cpu"] * 3
    assert worker_devices(Settings(devices="cuda:0,cuda:1", workers=2)) == ["cuda:0"] * 2 + ["cuda:1"] * 2


def test_a_container_has_no_more_memory_than_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(devices, "_MEMORY_LIMITS", (str(limit), str(tmp_path / "none")))
    free = free_memory()

    limit.write_text("4096\n")
    assert free_memory() == 4096
    limit.write_text("max\n")
    assert free_memory() == pytest.approx(free, rel=0.2)
