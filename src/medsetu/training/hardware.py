# SPDX-License-Identifier: Apache-2.0
"""Accelerator and number format that this machine can really use."""

import os
import resource
import sys
from dataclasses import dataclass

import torch

from medsetu.core.errors import ConfigError, ResourceError

PRECISIONS = {"auto": "", "bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}
ACCELERATORS = ("auto", "cpu", "gpu", "mps")


@dataclass(frozen=True)
class Hardware:
    """Where a stage runs; recorded in its provenance, because numbers are bit-equal only on equal hardware.

    Attributes:
        accelerator: ``cpu``, ``gpu`` or ``mps``.
        precision: Lightning's name of the number format.
        devices: Devices that train together, one process each.
    """

    accelerator: str
    precision: str
    devices: int = 1

    @property
    def device(self) -> torch.device:
        """Torch device for prediction."""
        return torch.device({"gpu": "cuda", "mps": "mps"}.get(self.accelerator, "cpu"))


def detect(*, accelerator: str = "auto", precision: str = "auto", devices: int = 1) -> Hardware:
    """Choose accelerator and precision.

    bfloat16 where the hardware computes in it (CUDA from Ampere on, CPUs with AVX512-BF16 or AMX), float16 with loss scaling on older CUDA
    devices, float32 otherwise.

    Args:
        accelerator: ``auto``, ``cpu``, ``gpu`` or ``mps``.
        precision: ``auto``, ``bf16``, ``fp16`` or ``fp32``.
        devices: GPUs, or processes on the CPU, that train together.

    Returns:
        The choice.

    Raises:
        ConfigError: An unknown name, fp16 on a CPU, or no device.
        ResourceError: More GPUs are asked for than are there.
    """
    if accelerator not in ACCELERATORS:
        raise ConfigError(what=f"Unknown accelerator '{accelerator}'", where="trainer.accelerator", value=accelerator, allowed=ACCELERATORS)
    if precision not in PRECISIONS:
        raise ConfigError(what=f"Unknown precision '{precision}'", where="trainer.precision", value=precision, allowed=list(PRECISIONS))
    cuda = torch.cuda.is_available()
    if accelerator == "gpu" and not cuda:
        raise ResourceError(
            what="No CUDA device is visible", where="trainer.accelerator=gpu", remedy="Use trainer.accelerator=auto, or repair the driver"
        )
    chosen = accelerator if accelerator != "auto" else ("gpu" if cuda else "cpu")
    if chosen != "gpu" and precision == "fp16":
        raise ConfigError(what="float16 needs a CUDA device", where="trainer.precision", remedy="Use precision=auto")
    _check_devices(devices, accelerator=chosen)
    return Hardware(chosen, PRECISIONS[precision] or _best_precision(chosen), devices)


def _check_devices(devices: int, *, accelerator: str) -> None:
    if devices < 1:
        raise ConfigError(what=f"{devices} devices cannot train", where="trainer.devices", remedy="Give 1 or more")
    there = {"gpu": torch.cuda.device_count(), "mps": 1}.get(accelerator, devices)
    if devices > there:
        raise ResourceError(
            what=f"{devices} devices are asked for and {there} can be seen",
            where=f"trainer.devices, accelerator {accelerator}",
            remedy=f"Use trainer.devices={there}",
        )


def process_rank() -> int | None:
    """Number of this process among those that train a stage together; None when it is alone."""
    rank = os.environ.get("LOCAL_RANK")
    return None if rank is None else int(rank)


def forget_peak(hardware: Hardware) -> None:
    """Begin to watch the largest use of memory anew, where the device can."""
    if hardware.accelerator == "gpu":
        torch.cuda.reset_peak_memory_stats()


def peak_memory(hardware: Hardware) -> int:
    """Largest use of memory so far, in bytes.

    Args:
        hardware: Where the work was done.

    Returns:
        On a GPU the largest allocation of torch since ``forget_peak``; elsewhere the largest resident size of this process since it began,
        which earlier work of the same process may have reached.
    """
    if hardware.accelerator == "gpu":
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts kibibytes on Linux, bytes on macOS
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def _best_precision(accelerator: str) -> str:
    if accelerator == "gpu":
        return "bf16-mixed" if torch.cuda.get_device_capability()[0] >= 8 else "16-mixed"
    if accelerator == "cpu" and _cpu_computes_bf16():
        return "bf16-mixed"
    return "32-true"


def _cpu_computes_bf16() -> bool:
    capability = torch.backends.cpu.get_cpu_capability()
    return capability.startswith("AVX512") and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
