"""What the server says of itself, in the tables that Flight SQL lays down."""

import pyarrow as pa

from commands import text

SERVER_NAME, SERVER_VERSION, READ_ONLY, SQL, CANCEL, TRANSACTION = 0, 1, 3, 4, 9, 8
NOT_NULL = False


def answer(name, command, results):
    """The table of a command; fails as unimplemented for one that there is none of."""
    found = ANSWERS.get(name)
    if found is None:
        raise NotImplementedError(f"{name} is not offered")
    return found(command, results)


def catalogs(_command, _results):
    return table([("catalog_name", pa.utf8(), ["lake"])])


def schemas(_command, _results):
    return table([("catalog_name", pa.utf8(), ["lake"], True), ("db_schema_name", pa.utf8(), ["public"])])


def tables(command, results):
    names = sorted(name[4:] for name in dir(results) if name.startswith("get_"))
    pattern = text(command, 3)
    if pattern is not None:
        names = [name for name in names if pattern in ("%", name)]
    columns = [
        ("catalog_name", pa.utf8(), ["lake"] * len(names), True),
        ("db_schema_name", pa.utf8(), ["public"] * len(names), True),
        ("table_name", pa.utf8(), names),
        ("table_type", pa.utf8(), ["TABLE"] * len(names)),
    ]
    if command.get(5) == [1]:
        columns.append(("table_schema", pa.binary(), [results.schema_of(name).serialize().to_pybytes() for name in names]))
    return table(columns)


def table_types(_command, _results):
    return table([("table_type", pa.utf8(), ["TABLE"])])


def sql_info(command, _results):
    """Numbers asked for come packed, or one by one."""
    known = [(SERVER_NAME, 0, "pyarrow interop"), (SERVER_VERSION, 0, pa.__version__), (READ_ONLY, 1, False)]
    known += [(SQL, 1, True), (TRANSACTION, 3, 0), (CANCEL, 1, False)]
    wanted = set()
    for value in command.get(1, []):
        wanted |= {value} if isinstance(value, int) else set(value)
    chosen = [fact for fact in known if not wanted or fact[0] in wanted]
    children = [[], [], [], [], [], []]
    offsets = []
    for _, kind, value in chosen:
        offsets.append(len(children[kind]))
        children[kind].append(value)
    kinds = [
        pa.utf8(),
        pa.bool_(),
        pa.int64(),
        pa.int32(),
        pa.list_(pa.utf8()),
        pa.map_(pa.int32(), pa.list_(pa.int32())),
    ]
    names = [
        "string_value",
        "bool_value",
        "bigint_value",
        "int32_bitmask",
        "string_list",
        "int32_to_int32_list_map",
    ]
    values = pa.UnionArray.from_dense(
        pa.array([kind for _, kind, _ in chosen], pa.int8()),
        pa.array(offsets, pa.int32()),
        [pa.array(child, kind) for child, kind in zip(children, kinds)],
        names,
    )
    schema = pa.schema([pa.field("info_name", pa.uint32(), NOT_NULL), pa.field("value", values.type, NOT_NULL)])
    return pa.table([pa.array([number for number, _, _ in chosen], pa.uint32()), values], schema=schema)


def table(columns):
    """Columns of name, type, values, and whether they may hold nulls."""
    schema = pa.schema([pa.field(name, kind, *nullable or [NOT_NULL]) for name, kind, _, *nullable in columns])
    return pa.table([pa.array(values, kind) for _, kind, values, *_ in columns], schema=schema)


ANSWERS = {
    "CommandGetCatalogs": catalogs,
    "CommandGetDbSchemas": schemas,
    "CommandGetTables": tables,
    "CommandGetTableTypes": table_types,
    "CommandGetSqlInfo": sql_info,
}
