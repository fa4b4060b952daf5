"""softmax and its kin by the packages that have them, each as its users would call it, on one thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import scipy.special

from solvers import special

from . import harness
from .problems import Array

FUNCTIONS = ("softmax", "log_softmax", "logsumexp")

#: The peers, in the order of the tables' columns; "out" is written to an array given, "fresh" to a new one.
CALLS = ("torch out", "onnxruntime out", "torch fresh", "scipy fresh", "jax fresh")

Calls = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Peers:
    """The modules that are installed."""

    torch: ModuleType | None
    onnxruntime: ModuleType | None
    jax: ModuleType | None

    @property
    def missing(self) -> list[str]:
        return [name for name, module in vars(self).items() if module is None]


def load() -> Peers:
    # XLA sizes its pool by this variable alone; its flags for one thread leave two busy.
    os.environ["NPROC"] = "1"
    jax = harness.peer("jax")
    if jax is not None:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", True)
    onnxruntime = harness.peer("onnxruntime")
    if harness.peer("onnx") is None:  # which makes its models
        onnxruntime = None
    return Peers(harness.peer("torch"), onnxruntime, jax)


def calls(function: str, x: Array, axis: int, y: Array | None, peers: Peers) -> Calls:
    """Ours and theirs, by name; `y` is where those write that can (None for logsumexp)."""
    ours, theirs = getattr(special, function), getattr(scipy.special, function)
    found: Calls = {"ours fresh": lambda: ours(x, axis, threads=1), "scipy fresh": lambda: theirs(x, axis)}
    if y is not None:
        found["ours out"] = lambda: ours(x, axis, out=y, threads=1)
    if peers.torch is not None:
        found |= _torch(peers.torch, function, x, axis, y)
    if peers.onnxruntime is not None and y is not None:
        found["onnxruntime out"] = _onnxruntime(peers.onnxruntime, function, x, axis, y)
    if peers.jax is not None:
        found["jax fresh"] = _jax(peers.jax, function, x, axis)
    return found


def _torch(torch: ModuleType, function: str, x: Array, axis: int, y: Array | None) -> Calls:
    call, tensor = getattr(torch, function), torch.from_numpy(x)
    found: Calls = {"torch fresh": lambda: call(tensor, axis)}
    if y is not None:
        target = torch.from_numpy(y)
        found["torch out"] = lambda: call(tensor, axis, out=target)
    return found


def _onnxruntime(onnxruntime: ModuleType, function: str, x: Array, axis: int, y: Array) -> Callable[[], Any]:
    """A model of one node, bound to the two arrays so that nothing is copied."""
    from onnx import TensorProto, helper

    element = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}[x.dtype.name]
    operator = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}[function]
    ends = [helper.make_tensor_value_info(name, element, [None] * x.ndim) for name in "xy"]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], axis=axis)], function, ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_input("x", "cpu", 0, x.dtype.type, x.shape, x.ctypes.data)
    binding.bind_output("y", "cpu", 0, y.dtype.type, y.shape, y.ctypes.data)

    def run() -> Array:
        session.run_with_iobinding(binding)
        return y

    return run


def _jax(jax: ModuleType, function: str, x: Array, axis: int) -> Callable[[], Any]:
    call = jax.jit(getattr(jax.nn, function), static_argnums=1)
    given = jax.numpy.asarray(x)
    return lambda: call(given, axis).block_until_ready()


def answers(function: str, x: Array, axis: int, peers: Peers) -> dict[str, Array]:
    """The results of ours, SciPy and torch, for the judge."""
    with np.errstate(all="ignore"):
        found = {
            "ours": np.asarray(getattr(special, function)(x, axis)),
            "scipy": np.asarray(getattr(scipy.special, function)(x, axis=axis), x.dtype),
        }
    if peers.torch is not None:
        found["torch"] = getattr(peers.torch, function)(peers.torch.from_numpy(x), axis).numpy()
    return found
