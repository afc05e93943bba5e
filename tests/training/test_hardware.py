# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import torch

from medsetu.core.errors import ConfigError, ResourceError
from medsetu.training.hardware import Hardware, detect, forget_peak, peak_memory, process_rank


def test_float32_is_always_available_on_a_cpu() -> None:
    found = detect(accelerator="cpu", precision="fp32")
    assert (found.accelerator, found.precision, found.device.type) == ("cpu", "32-true", "cpu")


def test_auto_chooses_a_format_that_computes() -> None:
    assert detect(accelerator="cpu").precision in ("bf16-mixed", "32-true")


@pytest.mark.parametrize("settings", [{"accelerator": "tpuu"}, {"precision": "fp8"}, {"accelerator": "cpu", "precision": "fp16"}])
def test_refuses_what_it_does_not_know(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        detect(**settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_missing_gpu_is_a_resource_error() -> None:
    with pytest.raises(ResourceError, match="No CUDA device"):
        detect(accelerator="gpu")


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the kernel of this machine does not tell")
def test_the_peak_of_memory_is_what_the_kernel_says_in_bytes() -> None:
    cpu = Hardware("cpu", "32-true")
    forget_peak(cpu)
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    assert peak_memory(cpu) == pytest.approx(int(lines["VmHWM"].split()[0]) * 1024, rel=0.05)


def test_several_processes_can_share_a_cpu_and_none_cannot() -> None:
    assert detect(accelerator="cpu", devices=2).devices == 2
    with pytest.raises(ConfigError, match=r"trainer\.devices"):
        detect(accelerator="cpu", devices=0)
    with pytest.raises(ResourceError, match=r"trainer\.devices=1"):
        detect(accelerator="mps", precision="fp32", devices=2)


def test_a_process_knows_whether_it_is_one_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert process_rank() is None
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert process_rank() == 1
