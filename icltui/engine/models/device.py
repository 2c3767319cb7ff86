"""Devices, dtypes, and how much memory is free.

Enters: device and dtype as a :class:`~icltui.api.messages.LoadModel` request names them. Leaves: torch's, and bytes.
"""

from typing import Any

import psutil  # type: ignore[import-untyped]
import torch

from icltui.api.messages import DeviceMap
from icltui.values.errors import BadInput

DTYPES = {
    str(d).removeprefix("torch."): d for d in (torch.float32, torch.float64, torch.bfloat16, torch.float16)
}


def pick_device(text: str) -> torch.device:
    """The device that ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` names.

    Raises:
        BadInput: no such device here.
    """
    if text == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(text)
        torch.ones(1, device=device).item()  # meta has no values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BadInput(
            f"device {text!r} is not available on this machine: use auto, cpu, cuda, cuda:N or mps"
        ) from error
    return device


def pick_dtype(text: str) -> Any:
    """``auto`` (as the checkpoint was saved) or the torch dtype of that name.

    Raises:
        BadInput: an unknown name.
    """
    if text != "auto" and text not in DTYPES:
        raise BadInput(f"dtype {text!r} not known: use auto, {', '.join(DTYPES)}")
    return DTYPES.get(text, "auto")


def use_whole_float32() -> None:
    """Multiply float32 matrices in float32, whatever the environment asks for.

    TensorFloat-32 keeps 10 bits of a factor: containers switch it on by TORCH_ALLOW_TF32_CUBLAS_OVERRIDE, and a right
    patch then misses by 1e-3.
    """
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


_INSTRUCTIONS = {
    torch.bfloat16: ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"),
    torch.float16: ("avx512_fp16", "amx_fp16", "fp16_arith"),
}
"""Instructions for half precision on a CPU, as ``torch.cpu.get_capabilities`` names them."""


def has_instructions(dtype: Any) -> bool:
    """Whether this machine's CPU computes in ``dtype`` itself, and need not convert every number.

    True where torch does not know.
    """
    asked = getattr(torch.cpu, "get_capabilities", None)
    if dtype not in _INSTRUCTIONS or asked is None:
        return True
    capabilities = asked()
    return any(capabilities.get(name, False) for name in _INSTRUCTIONS[dtype])


def free_bytes(device: torch.device, device_map: DeviceMap = "none") -> int:
    """Bytes free on ``device``, or on all devices where a device map spreads the model."""
    if device_map != "none":
        gpus = [_free_on_gpu(torch.device("cuda", k)) for k in range(torch.cuda.device_count())]
        return _free_ram() + sum(gpus)
    if device.type == "cuda":
        return _free_on_gpu(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return _free_ram()


def _free_on_gpu(device: torch.device) -> int:
    """Bytes that the driver has left, and bytes that torch holds without using them."""
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free) + unused


def _free_ram() -> int:
    """Bytes of main memory that are available without swapping."""
    return int(psutil.virtual_memory().available)
