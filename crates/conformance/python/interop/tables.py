"""The tables of the server: what a Flight stream can hold, as pyarrow writes it."""

import datetime
import decimal
import uuid

import pyarrow as pa
import pyarrow.flight as flight

ROWS = 1_000
BIG_ROWS = 2_000_000
LARGE_BYTES = 64 * 1024 * 1024


def numbers(begin=0, end=ROWS):
    return pa.table({"n": pa.array(range(begin, end), pa.int64())}, pa.schema([pa.field("n", pa.int64(), False)]))


def batches_of_numbers():
    """Numbers in batches of several sizes, with batches of no rows before, between and after them."""
    whole = numbers().combine_chunks().to_batches()[0]
    for begin, end in [(0, 0), (0, 1), (1, 1), (1, 500), (500, 999), (999, 1_000), (1_000, 1_000)]:
        yield whole.slice(begin, end - begin)


def two_rows(kind, value):
    """One value, and a null."""
    return pa.array([value, None], kind)


def types():
    """A column of every type that Arrow has a name for, with a value and a null each."""
    utc = datetime.timezone.utc
    moment = datetime.datetime(2026, 1, 31, 12, 30, 15, 123456, utc)
    columns = {
        "bool": two_rows(pa.bool_(), True),
        "int8": two_rows(pa.int8(), -128),
        "int16": two_rows(pa.int16(), -32768),
        "int32": two_rows(pa.int32(), -(2**31)),
        "int64": two_rows(pa.int64(), -(2**63)),
        "uint8": two_rows(pa.uint8(), 255),
        "uint16": two_rows(pa.uint16(), 65535),
        "uint32": two_rows(pa.uint32(), 2**32 - 1),
        "uint64": two_rows(pa.uint64(), 2**64 - 1),
        "float32": two_rows(pa.float32(), 0.5),
        "float64": two_rows(pa.float64(), -1e300),
        "decimal128": two_rows(pa.decimal128(38, 4), decimal.Decimal("-1234567890.1234")),
        "decimal256": two_rows(pa.decimal256(76, 2), decimal.Decimal("1" * 60 + ".25")),
        "utf8": two_rows(pa.utf8(), "zażółć \U0001f4a1"),
        "large_utf8": two_rows(pa.large_utf8(), "large"),
        "utf8_view": two_rows(pa.string_view(), "longer than the twelve bytes of a view"),
        "binary": two_rows(pa.binary(), b"\x00\xff"),
        "large_binary": two_rows(pa.large_binary(), b"\x01\x02"),
        "binary_view": two_rows(pa.binary_view(), b"\x03" * 13),
        "fixed_binary": two_rows(pa.binary(3), b"\x07\x08\x09"),
        "date32": two_rows(pa.date32(), datetime.date(1969, 12, 31)),
        "date64": two_rows(pa.date64(), datetime.date(2026, 1, 31)),
        "time32": two_rows(pa.time32("ms"), datetime.time(23, 59, 59, 999000)),
        "time64": two_rows(pa.time64("ns"), 86_399_999_999_999),
        "timestamp_s": two_rows(pa.timestamp("s"), datetime.datetime(2026, 1, 31, 12, 30, 15)),
        "timestamp_us_utc": two_rows(pa.timestamp("us", "UTC"), moment),
        "timestamp_ns_zone": two_rows(pa.timestamp("ns", "Europe/Paris"), moment),
        "duration": two_rows(pa.duration("ns"), 1_500_000_000),
        "interval": two_rows(pa.month_day_nano_interval(), pa.MonthDayNano([1, 2, 3])),
        "nothing": pa.nulls(2),
        "uuid": pa.array([uuid.UUID(int=1).bytes, None], pa.uuid()),
    }
    return pa.table(columns)


def nested():
    """Types within types, with nulls at every depth."""
    pair = pa.struct([pa.field("x", pa.int32(), False), pa.field("y", pa.utf8())])
    columns = {
        "list": pa.array([["a", None], None, []], pa.list_(pa.utf8())),
        "large_list": pa.array([[1, None], None, []], pa.large_list(pa.int16())),
        "fixed_list": pa.array([[1, 2], None, [3, None]], pa.list_(pa.int8(), 2)),
        "list_view": pa.array([[7, 8], None, []], pa.list_view(pa.int32())),
        "struct": pa.array([{"x": 1, "y": "one"}, None, {"x": 3, "y": None}], pair),
        "map": pa.array([[("k", 1), ("l", None)], None, []], pa.map_(pa.utf8(), pa.int64())),
        "list_of_structs": pa.array([[{"x": 1, "y": "a"}, None], None, []], pa.list_(pair)),
        "map_of_lists": pa.array([[("k", [1, None])], None, [("m", None)]], pa.map_(pa.utf8(), pa.list_(pa.int64()))),
        "dense_union": pa.UnionArray.from_dense(
            pa.array([0, 1, 0], pa.int8()),
            pa.array([0, 0, 1], pa.int32()),
            [pa.array([5, None], pa.int64()), pa.array(["text"], pa.utf8())],
        ),
        "sparse_union": pa.UnionArray.from_sparse(
            pa.array([1, 0, 1], pa.int8()),
            [pa.array([None, 6, None], pa.int64()), pa.array(["s", None, None], pa.utf8())],
        ),
        "run_ends": pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["run", None])),
    }
    return pa.table(columns)


def dictionary(indices, values):
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(values))


def dictionaries():
    """A dictionary that is kept, replaced, and replaced by one with a null in it."""
    return [
        pa.record_batch({"k": dictionary(indices, values)})
        for indices, values in [
            ([0, 1, None], ["a", "b"]),
            ([1, 0], ["a", "b"]),
            ([0, 1, 2], ["c", "d", "e"]),
            ([1, 0], ["f", None]),
        ]
    ]


def growing_dictionaries():
    """Each dictionary begins with the one before it: pyarrow sends the difference, if it is asked to."""
    return [
        pa.record_batch({"k": dictionary(indices, values)})
        for indices, values in [([0], ["a"]), ([1, 0], ["a", "b"]), ([2, 1, 0], ["a", "b", "c"])]
    ]


def nested_dictionaries():
    """Dictionaries within a list, within a struct and within another dictionary, all of them replaced in mid-stream."""
    batches = []
    for words in (["a", "b"], ["c", "d"]):
        inner = dictionary([0, 1, None], words)
        lists = pa.ListArray.from_arrays(pa.array([0, 2, 2, 3], pa.int32()), inner)
        structs = pa.StructArray.from_arrays([inner], names=["word"])
        outer = pa.DictionaryArray.from_arrays(pa.array([2, 0, None], pa.int8()), lists)
        batches.append(pa.record_batch({"lists": lists, "structs": structs, "dictionaries": outer}))
    return batches


def with_metadata():
    """Metadata of the schema and of a field, and two columns of the same name."""
    field = pa.field("n", pa.int64(), False, {"unit": "ms"})
    schema = pa.schema([field, pa.field("n", pa.utf8())], {"made by": "pyarrow"})
    return pa.table([pa.array([1, 2], pa.int64()), pa.array(["x", None])], schema=schema)


def large():
    """One row of one batch, which is bigger than any limit that gRPC has unless told otherwise."""
    return pa.table({"blob": pa.array([b"\x2a" * LARGE_BYTES], pa.large_binary())})


def stream(batches, options=None):
    """A stream that writes dictionaries as they change, which a generator of batches cannot."""
    batches = list(batches)
    return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(batches[0].schema, batches), options)
