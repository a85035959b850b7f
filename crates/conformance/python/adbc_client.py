"""Uses ADBC's Flight SQL driver, unchanged, as any program of Python's DB-API does, and prints what comes of it as JSON."""

import datetime

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow
from adbc_driver_flightsql import DatabaseOptions

from plain import arguments, failure, report

LOG = "SELECT time, process_id, level, target, msg FROM log_entries ORDER BY time, process_id, msg LIMIT 50"
COUNT = "SELECT count(*) AS entries FROM log_entries"
HEADER = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value


def connect(url, headers=None, **options):
    options.update({HEADER + name: value for name, value in (headers or {}).items()})
    return flightsql.connect(url, db_kwargs=options, autocommit=True)


def run(connection):
    """Statements, run and prepared."""
    results = {}
    with connection.cursor() as cursor:
        cursor.execute(LOG)
        results["execute"] = cursor.fetch_arrow_table()
        cursor.execute("SELECT level, msg FROM log_entries ORDER BY time, process_id, msg LIMIT 3")
        results["description"] = [column[0] for column in cursor.description]
        results["fetchone"] = cursor.fetchone()
        results["fetchall"] = cursor.fetchall()
        cursor.execute("SELECT time, msg FROM log_entries WHERE level > 100")
        results["no_rows"] = cursor.fetch_arrow_table()
        cursor.execute("SELECT time, msg, properties FROM log_entries")
        results["rows_in_batches"] = sum(batch.num_rows for batch in cursor.fetch_record_batch())
        parameters = cursor.adbc_prepare(LOG)
        results["adbc_prepare"] = None if parameters is None else parameters
        cursor.execute(LOG)
        results["execute_prepared"] = cursor.fetch_arrow_table()
        results["execute_schema"] = cursor.adbc_execute_schema(LOG)
        results["bad_sql"] = failure(lambda: cursor.execute("SELECT *\nFROM nope"))
        cursor.execute("SELECT 10 / (level - level) AS x FROM log_entries")
        results["fails_midway"] = failure(cursor.fetch_arrow_table)
        results["parameters"] = failure(lambda: cursor.execute("SELECT $1 AS x", parameters=[1]))
        cursor.execute("SELECT 1 AS after_errors")
        results["after_errors"] = cursor.fetchone()
    return results


def run_in_partitions(connection):
    with connection.cursor() as cursor:
        partitions, schema = cursor.adbc_execute_partitions(LOG)
        results = {"partitions": len(partitions), "partitions_schema": schema}
        cursor.adbc_read_partition(partitions[0])
        results["read_partition"] = cursor.fetch_arrow_table()
    return results


def browse(connection):
    objects = connection.adbc_get_objects(depth="columns").read_all().to_pylist()
    tables = {
        f"{catalog['catalog_name']}.{schema['db_schema_name']}.{table['table_name']}": [
            column["column_name"] for column in table["table_columns"]
        ]
        for catalog in objects
        for schema in catalog["catalog_db_schemas"]
        for table in schema["db_schema_tables"]
    }
    filtered = connection.adbc_get_objects(
        depth="tables", catalog_filter="datafusion", db_schema_filter="public", table_name_filter="log%", table_types_filter=["table"]
    )
    return {
        "tables": tables,
        "filtered": [
            table["table_name"]
            for catalog in filtered.read_all().to_pylist()
            for schema in catalog["catalog_db_schemas"]
            for table in schema["db_schema_tables"]
        ],
        "table_types": connection.adbc_get_table_types(),
        "table_schema": connection.adbc_get_table_schema("log_entries", db_schema_filter="public"),
        "info": {str(key): value for key, value in connection.adbc_get_info().items()},
    }


def ingest(connection):
    now = datetime.datetime(2026, 2, 1, tzinfo=datetime.timezone.utc)
    times = pyarrow.array([now, now, now], pyarrow.timestamp("ns", "UTC"))
    ids = [f"bbbbbbbb-0000-4000-8000-00000000000{number}" for number in range(3)]
    rows = pyarrow.table({"process_id": ids, "exe": ["x", "y", "z"], "insert_time": times, "audience": ["all"] * 3})
    results = {}
    with connection.cursor() as cursor:
        results["ingest"] = cursor.adbc_ingest("processes", rows, mode="append")
        cursor.execute("SELECT exe FROM processes WHERE process_id LIKE 'bbbbbbbb-%' ORDER BY exe")
        results["ingested"] = [row[0] for row in cursor.fetchall()]
        results["ingest_create"] = failure(lambda: cursor.adbc_ingest("processes", rows, mode="create"))
        results["ingest_new_table"] = failure(lambda: cursor.adbc_ingest("new_table", rows, mode="create"))
    return results


def count(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute(COUNT)
        return cursor.fetchone()[0]


def main():
    url, asked = arguments()
    ends = {"query_range_begin": asked["begin"], "query_range_end": asked["end"]}
    with connect(url, ends) as connection:
        results = run(connection)
        results.update(run_in_partitions(connection))
        results.update(browse(connection))
    with connect(url) as connection:
        results.update(ingest(connection))
    results["count_in_range"] = count(connect(url, ends))
    results["count_without_range"] = count(connect(url))
    results["count_backwards"] = count(connect(url, {"query_range_begin": asked["end"], "query_range_end": asked["begin"]}))
    results["bad_range"] = failure(lambda: count(connect(url, {**ends, "query_range_end": "tomorrow"})))
    with connect(url, {**ends, "preserve_dictionary": "true"}) as connection, connection.cursor() as cursor:
        cursor.execute(LOG)
        results["preserved"] = cursor.fetch_arrow_table()
    # DB-API asks for transactions unless it is told not to, and gets along without.
    with flightsql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        results["without_autocommit"] = cursor.fetchone()
    authorized = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {asked['token']}"}
    with connect(asked["guarded_url"], **authorized) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        results["with_token"] = cursor.fetchone()
    results["without_token"] = failure(lambda: count(connect(asked["guarded_url"])))
    trusting = {DatabaseOptions.TLS_ROOT_CERTS.value: asked["certificate"]}
    with connect(asked["encrypted_url"], **trusting) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        results["encrypted"] = cursor.fetchone()
    results["distrusted"] = failure(lambda: count(connect(asked["encrypted_url"])))
    report(results)


main()
