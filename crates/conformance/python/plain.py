"""Values of Arrow and pandas as JSON that a Rust test can compare: times are nanoseconds, bytes are hexadecimal."""

import datetime
import json
import sys

import numpy
import pandas
import pyarrow


def plain(value):
    if isinstance(value, pyarrow.Table):
        return {"schema": plain(value.schema), "rows": plain(value.to_pylist())}
    if isinstance(value, pyarrow.Schema):
        return [[field.name, str(field.type), field.nullable] for field in value]
    if isinstance(value, pandas.DataFrame):
        return [plain(dict(row)) for _, row in value.iterrows()]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, numpy.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if value is None or value is pandas.NaT:
        return None
    if isinstance(value, pandas.Timestamp):
        return value.value
    if isinstance(value, datetime.datetime):
        return pandas.Timestamp(value).value
    if isinstance(value, numpy.generic):
        return plain(value.item())
    if isinstance(value, float) and value != value:
        return None
    return value


def failure(work):
    """The name and the text of the exception that `work` raises, or None."""
    try:
        work()
    except Exception as error:
        return {"type": type(error).__name__, "text": str(error)}
    return None


def arguments():
    """What the test hands over: the URL, and a JSON document."""
    return sys.argv[1], json.loads(sys.argv[2])


def report(results):
    json.dump(plain(results), sys.stdout)
