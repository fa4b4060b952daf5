"""Lines of any layout, worked on in panels: never is the whole array copied.

A panel is a block of lines, or of a chunk of each where lines are long. NumPy copies it into a contiguous scratch
matrix (any strides, byte order or type), the kernel works on that in place, and NumPy copies it to where it belongs.
Where neighbouring lines share cache lines, a panel takes at least 16 of them, so that each cache line is used whole.

Lines that are longer than the scratch are seen twice: all their chunks are added up first, then each is divided by
the sum.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _kernels
from ._arrays import Array, Format, Input, load, store

#: Bytes of a scratch matrix: it stays in a core's own cache.
SCRATCH_BYTES = 1 << 18

#: Neighbouring lines that are taken together at least: a cache line of float32, or more where their chunks are short.
NEIGHBOURS, CHUNK_NEIGHBOURS = 16, 64

Slices = tuple[slice, ...]
Work = np.dtype[Any]  # float32 or float64


def blocks(shape: tuple[int, ...], size: int) -> list[Slices]:
    """Cut a shape into rectangles of at most `size` elements, which run along the last axes first."""
    steps = []
    for n in reversed(shape):
        step = max(1, -(-n // max(1, -(-n // size))))  # pieces of about one length, none nearly empty
        steps.append(step)
        size //= step
    pieces = zip(shape, reversed(steps), strict=True)
    return list(itertools.product(*([slice(k, min(k + step, n)) for k in range(0, n, step)] for n, step in pieces)))


def _part(array: Array, lines: Slices, chunk: Slices = ()) -> Array:
    """A view, also where nothing is sliced."""
    where: Any = (*lines, *chunk, ...)
    part: Array = array[where]
    return part


def _put(values: Array, array: Array, lines: Slices) -> None:
    """Store what belongs to each line."""
    part = _part(array, lines)
    part[...] = values.reshape(part.shape)


def _hide(numbers: Array, shown: Array, value: float) -> None:
    """numbers = value where not shown. By bits: a branch an element, as np.where has, is what a random mask defeats."""
    integer = np.dtype(f"i{numbers.itemsize}")
    keep = -shown.astype(integer)  # all bits or none
    bits = numbers.view(integer)
    bits &= keep
    if value != 0:
        bits |= ~keep & numbers.dtype.type(value).view(integer)


class Cut:
    """How the lines of an array along some axes are cut into panels.

    Parameters
    ----------
    x : ndarray
        Its shape and strides decide.
    axes : tuple of int
        The axes that lines run along.
    itemsize : int
        Bytes of a number in the scratch.
    whole : bool
        Whether lines must not be cut into chunks.
    """

    def __init__(self, x: Array, axes: tuple[int, ...], itemsize: int, whole: bool = False) -> None:
        kept = [k for k in range(x.ndim) if k not in axes]
        self.kept = sorted(kept, key=lambda k: -abs(x.strides[k]))  # neighbours in memory become neighbours here
        self.axes = axes
        lines, length = tuple(x.shape[k] for k in self.kept), tuple(x.shape[k] for k in axes)
        room, count, size = SCRATCH_BYTES // itemsize, math.prod(lines), max(math.prod(length), 1)
        steps_across = [abs(x.strides[k]) for k in kept if x.shape[k] > 1]
        steps_along = [abs(x.strides[k]) for k in axes if x.shape[k] > 1]
        together = room // size
        if steps_across and min(steps_across) < min(steps_along, default=0) and together < NEIGHBOURS:
            together = NEIGHBOURS if whole else CHUNK_NEIGHBOURS
        together = max(min(together, count), 1)
        self.lines = blocks(lines, together)
        self.chunks = blocks(length, size if whole else max(room // together, 1))
        self.whole = len(self.chunks) == 1

    def arrange(self, array: Array) -> Array:
        """A view of an array of x's shape with the axes of lines last, whatever the order that suits the others."""
        return array.transpose([*self.kept, *self.axes])

    def arrange_kept(self, array: Array) -> Array:
        """A view of an array with the kept axes, and more behind them, in the order of the panels."""
        rank = sorted(self.kept)
        return array.transpose([*(rank.index(k) for k in self.kept), *range(len(rank), array.ndim)])


@dataclass(frozen=True, slots=True)
class Options:
    """What is done to the numbers on their way: arrays that broadcast to the input's shape, or None."""

    where: Array | None = None
    temperature: Array | None = None

    @property
    def any(self) -> bool:
        return self.where is not None or self.temperature is not None


class Source:
    """Panels of an input, ready for the kernels."""

    def __init__(self, cut: Cut, x: Input, work: Work, options: Options, hidden: float = -np.inf) -> None:
        self.x, self.format, self.hidden = cut.arrange(x.array), x.format, hidden
        self.where, self.temperature = (
            None if option is None else cut.arrange(np.broadcast_to(option, x.array.shape))
            for option in (options.where, options.temperature)
        )
        self.kept = len(cut.kept)
        self.scratch = np.empty(0, work)

    def panel(self, lines: Slices, chunk: Slices) -> Array:
        """The numbers as a matrix with a line, or a chunk of one, in each row; good until the next call."""
        part = _part(self.x, lines, chunk)
        if self.scratch.size < part.size:
            self.scratch = np.empty(part.size, self.scratch.dtype)
        numbers = self.scratch[: part.size].reshape(part.shape)
        load(numbers, part, self.format)
        if self.temperature is not None:
            with np.errstate(all="ignore"):
                numbers /= _part(self.temperature, lines, chunk)
        if self.where is not None:
            _hide(numbers, _part(self.where, lines, chunk), self.hidden)
        return numbers.reshape(math.prod(part.shape[: self.kept]), -1)


class Target:
    """Where panels of results go."""

    def __init__(self, cut: Cut, out: Array, form: Format, where: Array | None, hidden: float) -> None:
        self.out, self.format, self.hidden = cut.arrange(out), form, hidden
        self.where = None if where is None else cut.arrange(np.broadcast_to(where, out.shape))

    def put(self, panel: Array, lines: Slices, chunk: Slices) -> None:
        """Store a panel, with `hidden` where an element does not count."""
        part = _part(self.out, lines, chunk)
        numbers = panel.reshape(part.shape)
        if self.where is not None:
            _hide(numbers, _part(self.where, lines, chunk), self.hidden)
        store(part, numbers, self.format)


# ---- maps --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineMap:
    """softmax or its logarithm: of whole rows, of parts of rows by the sums of the whole, where masked, and of
    columns."""

    rows: Callable[[Array, Array, int], None]
    by_sums: Callable[[Array, Array, Array, int], None]
    hidden: float
    columns: Callable[[Array, Array, Array | None, Array | None, int], None] | None = None


SOFTMAX = LineMap(_kernels.softmax, _kernels.divide_by_sums, 0.0, _kernels.softmax_columns)
LOG_SOFTMAX = LineMap(_kernels.log_softmax, _kernels.subtract_sums, -np.inf, _kernels.log_softmax_columns)


def empty_sums(*shape: int) -> Array:
    """Sums without a term, as the kernels keep them: five numbers each."""
    sums = np.zeros((*shape, 5))
    sums[..., 0] = -np.inf
    return sums


def map_lines(function: LineMap, x: Input, out: Array, axes: tuple[int, ...], options: Options, threads: int) -> None:
    """out = function of the lines of x. `out` is x's array itself or lies elsewhere."""
    cut = Cut(x.array, axes, x.format.work.itemsize)
    source = Source(cut, x, x.format.work, options)
    target = Target(cut, out, x.format, options.where, function.hidden)
    for lines in cut.lines:
        if cut.whole:
            panel = source.panel(lines, cut.chunks[0])
            function.rows(panel, panel, threads)
            target.put(panel, lines, cut.chunks[0])
        elif cut.chunks:
            sums = _sums_of_lines(source, cut, lines, threads)
            for chunk in cut.chunks:
                panel = source.panel(lines, chunk)
                function.by_sums(panel, panel, sums, threads)
                target.put(panel, lines, chunk)


def map_by_sums(function: LineMap, x: Input, sums: Array, out: Array, form: Format, axes: tuple[int, ...],
                threads: int) -> None:  # fmt: skip
    """The same for lines whose sums are given, an array of the kept axes and five."""
    cut = Cut(x.array, axes, form.work.itemsize)
    source, target = Source(cut, x, form.work, Options()), Target(cut, out, form, None, 0)
    arranged = cut.arrange_kept(sums)
    for lines in cut.lines:
        part = np.ascontiguousarray(_part(arranged, lines)).reshape(-1, 5)
        for chunk in cut.chunks:
            panel = source.panel(lines, chunk)
            function.by_sums(panel, panel, part, threads)
            target.put(panel, lines, chunk)


def add_to_sums(x: Input, sums: Array, work: Work, axes: tuple[int, ...], threads: int) -> None:
    """sums += the exponentials of x along the axes."""
    cut = Cut(x.array, axes, work.itemsize)
    source = Source(cut, x, work, Options())
    arranged = cut.arrange_kept(sums)
    for lines in cut.lines:
        added = np.ascontiguousarray(_part(arranged, lines)).reshape(-1, 5)
        for chunk in cut.chunks:
            _kernels.add_to_sums(source.panel(lines, chunk), added, threads)
        _put(added, arranged, lines)


def _sums_of_lines(source: Source, cut: Cut, lines: Slices, threads: int) -> Array:
    sums = empty_sums(math.prod(s.stop - s.start for s in lines))
    for chunk in cut.chunks:
        _kernels.add_to_sums(source.panel(lines, chunk), sums, threads)
    return sums


# ---- reductions --------------------------------------------------------------------------------------


def reduce_lines(a: Input, b: Input | None, work: Work, axes: tuple[int, ...], options: Options,
                 threads: int) -> tuple[Array, Array]:  # fmt: skip
    """logsumexp and the sign of the sum, as arrays of the kept axes. Lines with weights are gathered whole."""
    cut = Cut(a.array, axes, work.itemsize, whole=b is not None)
    source = Source(cut, a, work, options)
    weights = None if b is None else Source(cut, b, work, Options(options.where), hidden=0)
    shape = tuple(n for k, n in enumerate(a.array.shape) if k not in axes)
    value, sign = np.full(shape, -np.inf, work), np.zeros(shape, work)
    values, signs = cut.arrange_kept(value), cut.arrange_kept(sign)
    for lines in cut.lines:
        count = math.prod(s.stop - s.start for s in lines)
        line_value, line_sign = np.empty(count, work), np.empty(count, work)
        if cut.whole:
            panel = source.panel(lines, cut.chunks[0])
            weight = None if weights is None else weights.panel(lines, cut.chunks[0])
            if weight is not None:
                panel[weight == 0] = -np.inf  # there the exponent does not count, whatever it is
            _kernels.logsumexp(panel, weight, line_value, line_sign, threads)
        elif cut.chunks:
            _kernels.log_of_sums(_sums_of_lines(source, cut, lines, threads), line_value)
            line_sign[...] = np.where(np.isnan(line_value), np.nan, line_value > -np.inf)
        else:
            continue
        _put(line_value, values, lines)
        _put(line_sign, signs, lines)
    return value, sign


# ---- the derivative of softmax -----------------------------------------------------------------------


def jvp_lines(y: Input, v: Input, out: Array, form: Format, axes: tuple[int, ...], threads: int) -> None:
    """out = y (v - <y, v>) along lines. `out` is the array of y or v itself or lies elsewhere."""
    cut = Cut(y.array, axes, form.work.itemsize)
    ys, vs = Source(cut, y, form.work, Options()), Source(cut, v, form.work, Options())
    target = Target(cut, out, form, None, 0)
    for lines in cut.lines:
        if cut.whole:
            panel = ys.panel(lines, cut.chunks[0])
            _kernels.softmax_jvp(panel, vs.panel(lines, cut.chunks[0]), panel, threads)
            target.put(panel, lines, cut.chunks[0])
        elif cut.chunks:
            dots = np.zeros((math.prod(s.stop - s.start for s in lines), 2))
            for chunk in cut.chunks:
                _kernels.add_to_dots(ys.panel(lines, chunk), vs.panel(lines, chunk), dots, threads)
            for chunk in cut.chunks:
                panel = ys.panel(lines, chunk)
                _kernels.jvp_by_dots(panel, vs.panel(lines, chunk), panel, dots, threads)
                target.put(panel, lines, chunk)


# ---- without panels ----------------------------------------------------------------------------------


def _is_direct(x: Array) -> bool:
    """Whether the kernels can read these numbers."""
    return x.dtype.char in "fd" and x.dtype.isnative and x.flags.aligned


def direct_rows(x: Array, axes: tuple[int, ...]) -> Array | None:
    """x as a matrix that the kernels can read as it lies, a line in each row; None where it must be gathered."""
    if not _is_direct(x):
        return None
    moved = x.transpose([*(k for k in range(x.ndim) if k not in axes), *axes])
    if moved.ndim == 2 and len(axes) == 1 and moved.strides[1] == x.itemsize and moved.strides[0] % x.itemsize == 0:
        return moved
    if not moved.flags.c_contiguous:
        return None
    return moved.reshape(math.prod(moved.shape[: x.ndim - len(axes)]), math.prod(x.shape[k] for k in axes))


#: Columns that fill enough of a vector.
COLUMNS_MIN = 8


def column_order(axes: tuple[int, ...], *arrays: Array) -> tuple[int, ...] | None:
    """An order of the axes in which the kernels can read lines of all the arrays, of one shape, as columns; None where
    they do not lie so, or where too few lie side by side."""
    axis, ndim, shape = axes[0] if len(axes) == 1 else -1, arrays[0].ndim, arrays[0].shape
    if axis < 0 or ndim < 2 or not all(_is_direct(a) for a in arrays):
        return None
    if all(a.flags.f_contiguous for a in arrays):
        order = tuple(reversed(range(ndim)))
    elif all(a.flags.c_contiguous for a in arrays):
        order = tuple(range(ndim))
    elif ndim == 2 and all(a.strides[1 - axis] == a.itemsize and a.strides[axis] % a.itemsize == 0 for a in arrays):
        order = (axis, 1 - axis)
    else:
        return None
    side_by_side = math.prod(shape[k] for k in order[order.index(axis) + 1 :])
    return order if side_by_side >= COLUMNS_MIN else None


def as_columns(array: Array, axis: int, order: tuple[int, ...]) -> Array:
    """The array as (outer, length, width), lines running along the length."""
    place, shape = order.index(axis), [array.shape[k] for k in order]
    return array.transpose(order).reshape(math.prod(shape[:place]), shape[place], math.prod(shape[place + 1 :]))


def map_columns(function: LineMap, x: Array, out: Array, axis: int, order: tuple[int, ...], options: Options,
                threads: int) -> None:  # fmt: skip
    """map_lines for arrays that have this order of columns."""
    assert function.columns is not None
    where, temperature = _columns_of_options(options, axis, order)
    function.columns(as_columns(x, axis, order), as_columns(out, axis, order), where, temperature, threads)


def reduce_columns(a: Array, axis: int, order: tuple[int, ...], options: Options, threads: int) -> tuple[Array, Array]:
    """reduce_lines, without weights, for an array that has this order of columns."""
    columns = as_columns(a, axis, order)
    value, sign = (np.empty(columns.shape[::2], a.dtype) for _ in range(2))
    where, temperature = _columns_of_options(options, axis, order)
    _kernels.logsumexp_columns(columns, value, sign, where, temperature, threads)
    kept = [k for k in order if k != axis]
    shape, back = [a.shape[k] for k in kept], np.argsort(kept)
    return value.reshape(shape).transpose(back), sign.reshape(shape).transpose(back)


def _columns_of_options(options: Options, axis: int, order: tuple[int, ...]) -> tuple[Array | None, Array | None]:
    """As as_columns; what must be copied for that is a mask, or one temperature for each line."""
    where, temperature = options.where, options.temperature
    if where is not None:
        where = as_columns(where, axis, order)
    if temperature is not None:
        length = temperature.shape[axis]
        lines = as_columns(temperature[(slice(None),) * axis + (slice(0, 1),)], axis, order)
        temperature = np.broadcast_to(lines, (len(lines), length, lines.shape[2]))
    return where, temperature


def same_places(x: Array, out: Array) -> bool:
    """Whether element by element both lie at the same places."""
    start, other = x.__array_interface__["data"][0], out.__array_interface__["data"][0]
    return bool(start == other and x.shape == out.shape and x.strides == out.strides and x.itemsize == out.itemsize)


def spoils(out: Array, *inputs: Array | None) -> bool:
    """Whether writing to out could change an input before it is read."""
    return any(x is not None and np.may_share_memory(x, out) and not same_places(x, out) for x in inputs)
