"""ggml's own pool of threads, attached to every context.

Without one llama.cpp starts threads for each decode, unless it was compiled with OpenMP, whose barriers are slower:
with SmolLM2 on 2 cores it generated 5 to 8 % less, in one stream and in eight, and with a model of 0.5 B 2 %.

There is one pool of each size in the process: a pool's threads poll for a moment after their work, and would hold up
those of another. So contexts take turns (`core.compute`); only one may compute at a time.
"""

from __future__ import annotations

import functools
from ctypes import CFUNCTYPE, Structure, byref, c_bool, c_int, c_uint32, c_void_p

import llama_cpp.llama_cpp as lib

from core.llama.dispatch import cpu_function

MAX_THREADS = 512
"""ggml's GGML_MAX_N_THREADS."""

POLL = 1
"""Times 131072 pauses of the processor, some milliseconds, that an idle thread polls before it sleeps: between two
steps of a stream it need not be woken. Without polling a single stream lost 4 to 8 %; more gained nothing."""


class _Params(Structure):
    """ggml_threadpool_params"""

    _fields_ = (
        ("cpumask", c_bool * MAX_THREADS),
        ("n_threads", c_int),
        ("prio", c_int),
        ("poll", c_uint32),
        ("strict_cpu", c_bool),
        ("paused", c_bool),
    )


_init_params = CFUNCTYPE(None, c_void_p, c_int)(("ggml_threadpool_params_init", lib._lib))
_attach = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)(("llama_attach_threadpool", lib._lib))


def set_threads(context: int, single: int, batched: int) -> None:
    """From now on `context` computes steps of one row with `single` threads, others with `batched`."""
    lib.llama_set_n_threads(context, single, batched)
    _attach(context, _pool(single), _pool(batched))


@functools.cache
def _pool(threads: int) -> int:
    """Never freed: contexts that used it may come back to it, and meanwhile its threads sleep."""
    params = _Params()
    _init_params(byref(params), threads)
    params.poll = POLL
    new = CFUNCTYPE(c_void_p, c_void_p)(cpu_function("ggml_threadpool_new"))
    return int(new(byref(params)))
