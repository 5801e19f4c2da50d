"""The backends of a dispatching wheel: the CPU library that suits this processor, and a GPU's where there is one.

Such a wheel (scripts/build_llama_wheel.sh) holds one CPU library for each generation of processors. They are loaded
from a folder that is named here: llama.cpp by itself looks beside the Python interpreter and in the current directory.
"""

from __future__ import annotations

import logging
import os
import re
from ctypes import CDLL, CFUNCTYPE, Structure, byref, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path

import llama_cpp.llama_cpp as lib

from core.errors import ModelUnusable

logger = logging.getLogger("warmfn.llama")

CPU, GPU = 0, 1
"""ggml's types of devices."""

# By libllama's handle, which also finds the symbols of what it was linked with: a wheel may hold a copy of ggml under
# another name, and its register of backends is not the one that llama.cpp reads.
_load_all = CFUNCTYPE(None, c_char_p)(("ggml_backend_load_all_from_path", lib._lib))
_num_backends = CFUNCTYPE(c_size_t)(("ggml_backend_reg_count", lib._lib))
_num_devices = CFUNCTYPE(c_size_t)(("ggml_backend_dev_count", lib._lib))
_device = CFUNCTYPE(c_void_p, c_size_t)(("ggml_backend_dev_get", lib._lib))
_first_device = CFUNCTYPE(c_void_p, c_int)(("ggml_backend_dev_by_type", lib._lib))
_type = CFUNCTYPE(c_int, c_void_p)(("ggml_backend_dev_type", lib._lib))
_name = CFUNCTYPE(c_char_p, c_void_p)(("ggml_backend_dev_name", lib._lib))
_description = CFUNCTYPE(c_char_p, c_void_p)(("ggml_backend_dev_description", lib._lib))
_backend = CFUNCTYPE(c_void_p, c_void_p)(("ggml_backend_dev_backend_reg", lib._lib))
_function = CFUNCTYPE(c_void_p, c_void_p, c_char_p)(("ggml_backend_reg_get_proc_address", lib._lib))


def load_backends() -> None:
    """Load what is not compiled in, from $WARMFN_GGML_DIR or from the wheel; call before `llama_backend_init`.

    Raises ModelUnusable where no CPU library runs on this processor.
    """
    folder = _folder()
    if not _num_backends():
        _load_all(os.fsencode(folder))
    elif "WARMFN_GGML_DIR" in os.environ:
        logger.warning("WARMFN_GGML_DIR is not used: this llama.cpp has its backends compiled in")
    if not _first_device(CPU):
        found = ", ".join(sorted(_variant(file) for file in folder.glob("*ggml-cpu*"))) or "none"
        raise ModelUnusable(
            f"{folder}: no CPU library of llama.cpp in this folder runs on this processor (there is {found}). Unset "
            "WARMFN_GGML_DIR if it is set, or install a wheel made by `scripts/build_llama_wheel.sh portable`."
        )
    if any(folder.glob("*ggml-cuda*")) and not _first_device(GPU):
        logger.warning("no GPU: this llama.cpp could use CUDA, but finds no driver or no card. The CPU computes alone")


def describe_backend() -> str:
    """The devices that llama.cpp may compute on, such as 'CUDA0 (NVIDIA L4), CPU (zen4)'."""
    return ", ".join(_describe(_device(index)) for index in range(_num_devices()))


def cpu_function(name: str) -> int:
    """The address of a function of the CPU library, which has no symbols here if it was loaded at start."""
    return int(_function(_backend(_first_device(CPU)), name.encode()))


def _describe(device: int) -> str:
    name = _name(device).decode()
    if _type(device) == CPU:
        return f"{name} ({_variant(_library_of(_backend(device)))})"
    return f"{name} ({_description(device).decode('utf-8', 'replace')})"


def _folder() -> Path:
    """Where the libraries lie that can be loaded: a wheel that was made without our script has them in bin/."""
    if given := os.environ.get("WARMFN_GGML_DIR"):
        return Path(given)
    inside = Path(lib._lib._name).parent
    outside = inside.parents[1] / "bin"
    return outside if any(outside.glob("*ggml-cpu-*")) else inside


def _variant(library: Path) -> str:
    """libggml-cpu-zen4.so -> zen4"""
    match = re.search(r"ggml-cpu-(\w+)", library.name)
    return match[1] if match else "compiled in"


class _DlInfo(Structure):
    _fields_ = (("file", c_char_p), ("base", c_void_p), ("symbol", c_char_p), ("address", c_void_p))


def _library_of(address: int) -> Path:
    """The file of the loaded library that `address` lies in: ggml does not tell which CPU library it chose."""
    info = _DlInfo()
    if not CDLL(None).dladdr(c_void_p(address), byref(info)):
        return Path()
    return Path(os.fsdecode(info.file))
