"""Files in LIBSVM's format, against scikit-learn's reader and Python's own numbers."""

import bz2
import gzip
import io
import itertools
import lzma
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from solvers.datasets import _libsvm, load_libsvm

DATA = Path(os.environ.get("SOLVERS_DATA", ""), "libsvm")
needs_data = pytest.mark.skipif("SOLVERS_DATA" not in os.environ, reason="SOLVERS_DATA names no folder of data sets")


def read(text, **keywords):
    return load_libsvm(io.BytesIO(text), **keywords)


def assert_same(ours, theirs):
    (X, y, *query), (X_theirs, y_theirs, *query_theirs) = ours, theirs
    assert X.shape == X_theirs.shape
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(X, part), getattr(X_theirs, part))
    np.testing.assert_array_equal(y, y_theirs)
    np.testing.assert_array_equal(query, query_theirs)


@needs_data
@pytest.mark.parametrize("name", ["a1a", "abalone", "breast-cancer", "colon-cancer", "ionosphere", "splice", "w8a.t"])
def test_a_published_set_reads_as_scikit_learn_reads_it(name):
    with lzma.open(DATA / f"{name}.xz") as stream:
        assert_same(load_libsvm(name), load_svmlight_file(stream))


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_blocks_do_not_show(seed, block, monkeypatch):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random(60, 40, 0.2, format="csr", random_state=rng)
    y, query, stream = rng.normal(size=60), rng.integers(0, 9, 60), io.BytesIO()
    dump_svmlight_file(X, y, stream, query_id=query, comment="made for a test")
    monkeypatch.setattr(_libsvm, "BLOCK", block)
    theirs = load_svmlight_file(io.BytesIO(stream.getvalue()), query_id=True, n_features=40)
    assert_same(read(stream.getvalue(), query_id=True, n_features=40), theirs)


@pytest.mark.parametrize(("ending", "module"), [(".xz", lzma), (".bz2", bz2), (".gz", gzip), ("", None)])
def test_compressed_and_by_name(tmp_path, monkeypatch, ending, module):
    text = b"1 1:2\n-1 3:4.5\n"
    (tmp_path / "libsvm").mkdir()
    path = tmp_path / "libsvm" / f"toy{ending}"
    path.write_bytes(module.compress(text) if module else text)
    monkeypatch.setenv("SOLVERS_DATA", str(tmp_path))
    for source in (path, str(path), "toy", f"toy{ending}"):
        X, y = load_libsvm(source)
        assert X.toarray().tolist() == [[2, 0, 0], [0, 0, 4.5]]
        assert y.tolist() == [1, -1]


def test_by_name_through_libsvmdata(monkeypatch):
    X = np.array([[0.0, 1.5, 0.0], [2.0, 0.0, 0.0]])

    def fetch_dataset(name):
        if name != "toy":
            raise ValueError("no such set")
        return X, np.array([1, 2])

    monkeypatch.setitem(sys.modules, "libsvmdata", types.SimpleNamespace(fetch_dataset=fetch_dataset))
    read_X, y = load_libsvm("toy", dtype=np.float32)
    assert read_X.dtype == np.float32
    np.testing.assert_array_equal(read_X.toarray(), X)
    assert y.tolist() == [1, 2]
    with pytest.raises(FileNotFoundError, match="nor one that the package libsvmdata knows"):
        load_libsvm("other")
    monkeypatch.setitem(sys.modules, "libsvmdata", None)
    with pytest.raises(FileNotFoundError, match="install the package libsvmdata"):
        load_libsvm("toy")


# ---- numbers --------------------------------------------------------------------------------------


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=30), st.sampled_from(["{!r}", "{:.17e}", "{:.9g}"]))
def test_numbers_round_as_python_rounds(values, form):
    texts = [form.format(value) for value in values]
    X, y = read("".join(f"{t} 1:{t}\n" for t in texts).encode())
    expected = [float(t) for t in texts]
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(X.toarray().ravel(), expected)


@given(st.integers(0, 10**19 - 1), st.integers(-30, 30))
def test_nineteen_digits_and_halfway_cases(digits, exponent):
    texts = [f"{digits}e{exponent}", f"-{digits}E{exponent:+d}", f"{digits / 1e3:.3f}", f".{digits:019d}"]
    y = read("\n".join(texts).encode())[1]
    np.testing.assert_array_equal(y, [float(t) for t in texts])


@given(st.integers(0, 2**53 - 1), st.integers(0, 20))
def test_exact_ties_go_to_the_even_neighbour(whole, power):
    # 2 whole + 1 is the middle of two doubles where whole has 53 bits.
    tie = (2 * (whole | 2**52) + 1) << power
    for text in (str(tie), str(tie + 1), str(tie - 1), f"{tie * 10**5}e-5"):
        assert read(text.encode())[1].tolist() == [float(text)]


@pytest.mark.parametrize(
    "text", ["1e400", "-1e-400", "0e999999999999", "1" * 400, "inf", "-Infinity", "+nan", "5e-324"]
)
def test_extreme_numbers(text):
    np.testing.assert_array_equal(read(text.encode())[1], [float(text)])


# ---- the format -----------------------------------------------------------------------------------


def test_layout_of_lines():
    X, y, query = read(
        b"# head\n\n  1\t1:1   2:2 \r\n-1 qid:7 # no entries 9:9\n+3. 2:.5#tail\n \t\n4 qid:0 1:-0", query_id=True
    )
    assert X.toarray().tolist() == [[1, 2], [0, 0], [0, 0.5], [0, 0]]
    assert X.nnz == 4
    assert y.tolist() == [1, -1, 3, 4]
    assert query.tolist() == [-1, 7, -1, 0]


def test_the_first_index():
    assert read(b"1 0:5 2:6\n")[0].toarray().tolist() == [[5, 0, 6]]
    assert read(b"1 1:5 2:6\n")[0].toarray().tolist() == [[5, 6]]
    assert read(b"1 1:5 2:6\n", zero_based=True)[0].toarray().tolist() == [[0, 5, 6]]
    with pytest.raises(ValueError, match="zero_based=False"):
        read(b"1 0:5\n", zero_based=False)


def test_width_and_type():
    assert read(b"1 2:5\n", n_features=4)[0].shape == (1, 4)
    assert read(b"1 2:5\n", dtype=np.float32)[0].dtype == np.float32
    with pytest.raises(ValueError, match="n_features is 1"):
        read(b"1 2:5\n", n_features=1)
    for text in (b"", b"# nothing\n\n"):
        X, y = read(text, n_features=3)
        assert (X.shape, y.shape) == ((0, 3), (0,))
        assert read(text, dtype=np.float32)[0].dtype == np.float32


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"a 1:2", "begin with its label"),
        (b":3", "begin with its label"),
        (b"1_0 1:2", "begin with its label"),
        (b"1,2 1:2", "several labels"),
        (b"1 x:2", "index:value"),
        (b"1 -1:2", "index:value"),
        (b"1 1:2 3", "index:value"),
        (b"1 1 :2", "index:value"),
        (b"1 qid:x 1:2", "index:value"),
        (b"1 1:2 qid:3", "index:value"),
        (b"1 1:", "not a number"),
        (b"1 1:2x", "not a number"),
        (b"1 1:2:3", "not a number"),
        (b"1 1:1e", "not a number"),
        (b"1 1:2,3", "not a number"),
        (b"1 2:1 2:1", "must rise"),
        (b"1 2:1 1:1", "must rise"),
        (b"1 2147483647:1", "at most 2147483646"),
        (b"1 99999999999999999999:1", "at most 2147483646"),
        (b"\xff\x00 1:1", "begin with its label"),
    ],
)
def test_errors_tell_the_line(line, message):
    with pytest.raises(ValueError, match=rf"line 4: .*{message}"):
        read(b"1 1:1\n# a comment\n\n" + line + b"\n1 1:1\n")


def test_arguments():
    with pytest.raises(TypeError, match="dtype"):
        read(b"", dtype=int)
    with pytest.raises(ValueError, match="zero_based"):
        read(b"", zero_based="no")
    with pytest.raises(ValueError, match="n_features"):
        read(b"", n_features=-1)
    with pytest.raises(TypeError, match="binary mode"):
        load_libsvm(io.StringIO("1 1:1"))


# ---- anything -------------------------------------------------------------------------------------


def slow_reader(text):
    """The format in a few lines of Python; ValueError where it is not met."""
    rows = []
    for line in text.split(b"\n"):
        tokens = line.split(b"#")[0].split()
        if tokens:
            pairs = [token.split(b":") for token in tokens[1:]]
            columns = [int(index) for index, _ in pairs]
            if b"_" in line.split(b"#")[0] or any(not index.isdigit() for index, _ in pairs):
                raise ValueError
            if any(a >= b for a, b in itertools.pairwise(columns)):
                raise ValueError
            rows.append((float(tokens[0]), dict(zip(columns, (float(v) for _, v in pairs), strict=True))))
    return rows


@given(st.text(alphabet="01239.:-+eE #\n\t,_naif", max_size=60))
def test_any_text_reads_as_the_slow_reader_says_or_is_refused(text):
    text = text.encode()
    try:
        rows = slow_reader(text)
    except ValueError:
        with pytest.raises(ValueError, match="line "):
            read(text)
        return
    X, y = read(text, zero_based=True)
    np.testing.assert_array_equal(y, [label for label, _ in rows])
    for k, (_, entries) in enumerate(rows):
        part = slice(X.indptr[k], X.indptr[k + 1])
        assert X.indices[part].tolist() == list(entries)
        np.testing.assert_array_equal(X.data[part], list(entries.values()))


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_matrix_or_an_error(text):
    try:
        X, y = read(text)
    except ValueError:
        return
    assert X.shape[0] == len(y)
    X.check_format()
