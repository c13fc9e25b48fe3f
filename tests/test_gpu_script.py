"""What is to run where a GPU is at hand runs on the CPU before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import handmade

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("timeout") is None, reason="no coreutils here")
def test_every_step_of_the_gpu_script_answers_on_the_cpu(tmp_path: Path) -> None:
    segmenter, classifier = handmade.write_weights(tmp_path)
    environment = {
        **os.environ,
        "DEVICE": "cpu",
        "PYTHON": sys.executable,
        "FUMIKURA_SEGMENTER_PATH": str(segmenter),
        "FUMIKURA_CLASSIFIER_PATH": str(classifier),
        "FUMIKURA_CONTEXT_WEIGHT": "0",
        "FUMIKURA_WORKERS": "1",
    }

    ended = subprocess.run(
        [ROOT / "benchmarks" / "gpu.sh", tmp_path / "out", "samples/drawn_001.jpg"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    steps = [json.loads(line) for line in (tmp_path / "out" / "gpu.json").read_text().splitlines()]
    assert ended.returncode == 0, ended.stderr
    assert [step["step"] for step in steps] == ["agreement", "bench_2", "trials", "training"]
    assert all(step["exit_code"] == 0 for step in steps)
    answers = {step["step"]: step["answer"] for step in steps}
    assert "| bf16, whole pages |" in answers["agreement"]
    assert answers["bench_2"][0]["pages"] == 2
    assert answers["trials"][0]["jpegs_per_second"]["nvJPEG, whole"] is None
    assert set(answers["trials"][0]["pages_per_second"]) >= {"segmenter", "segmenter, compiled"}
