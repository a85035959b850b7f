"""Uses the published Micromegas client, unchanged, as its documentation does, and prints what comes of it as JSON."""

import contextlib
import datetime
import io

import micromegas
import micromegas.admin
import pyarrow
from micromegas.auth import StaticTokenAuthProvider
from micromegas.flightsql.client import FlightSQLClient

from plain import arguments, failure, report

LOG = "SELECT time, process_id, level, target, msg FROM log_entries ORDER BY time, process_id, msg LIMIT 50"
PARTITIONS = (
    "SELECT view_instance_id, begin_insert_time, end_insert_time, num_rows FROM list_partitions() "
    "WHERE view_set_name = 'log_entries' ORDER BY view_instance_id, begin_insert_time"
)


def time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def printed(work):
    """The client prints the messages of what it does."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        work()
    return out.getvalue().splitlines()


def ask(client, begin, end):
    """Everything that only reads."""
    results = {
        "query": client.query(LOG, begin, end),
        "query_without_range": client.query("SELECT count(*) AS entries FROM log_entries"),
        "query_of_text_times": client.query("SELECT count(*) AS entries FROM log_entries", begin.isoformat(), end.isoformat()),
        "query_backwards": client.query("SELECT count(*) AS entries FROM log_entries", end, begin),
        "query_of_no_rows": client.query("SELECT time, msg FROM log_entries WHERE level > 100", begin, end),
        "columns_of_no_rows": list(client.query("SELECT time, msg FROM log_entries WHERE level > 100").columns),
        "query_arrow": client.query_arrow(LOG, begin, end),
        "bad_sql": failure(lambda: client.query("SELECT *\nFROM nope")),
        "fails_midway": failure(lambda: client.query("SELECT 10 / (level - level) AS x FROM log_entries")),
        "incompatible": micromegas.admin.list_incompatible_partitions(client),
    }
    batches = list(client.query_stream("SELECT time, msg, properties FROM log_entries", begin, end))
    results["query_stream"] = {
        "batches": len(batches),
        "rows": sum(batch.num_rows for batch in batches),
        "schema": batches[0].schema,
        "largest": max(batch.nbytes for batch in batches),
    }
    stream = client.query_stream("SELECT * FROM log_entries")
    results["rows_of_a_stream_that_is_left"] = next(stream).num_rows
    stream.close()
    statement = client.prepare_statement(LOG)
    prepared = list(client.prepared_statement_stream(statement))
    results["prepare_statement"] = {
        "query": statement.query,
        "schema": statement.dataset_schema,
        "rows": sum(batch.num_rows for batch in prepared),
    }
    results["prepare_bad_sql"] = failure(lambda: client.prepare_statement("SELECT nope FROM log_entries"))
    return results


def browse(client, begin, end, process_id):
    """From a process to its streams, blocks and spans."""
    streams = client.query_streams(begin, end, 100, process_id=process_id)
    stream_id = client.query_streams(begin, end, 1, process_id=process_id, tag_filter="cpu")["stream_id"].iloc[0]
    return {
        "find_process": client.find_process(process_id),
        "find_no_process": len(client.find_process("00000000-0000-0000-0000-000000000000")),
        "stream_ids": sorted(streams["stream_id"]),
        "stream_id": stream_id,
        "blocks": len(client.query_blocks(begin, end, 100000, stream_id)),
        "spans": len(client.query_spans(begin, end, 100000, stream_id)),
    }


def change(client, retire):
    """What an administrator does."""
    results = {"partitions_before": client.query(PARTITIONS)}
    begin, end = time(retire["begin"]), time(retire["end"])
    results["retire_partitions"] = printed(
        lambda: client.retire_partitions("log_entries", retire["instance"], begin, end)
    )
    results["partitions_after"] = client.query(PARTITIONS)
    results["retire_nothing"] = printed(
        lambda: client.retire_partitions("log_entries", "no such instance", begin, end)
    )
    hour = datetime.timedelta(hours=1)
    results["retire_an_hour"] = printed(
        lambda: client.retire_partitions("log_entries", "global", time(retire["hour"]), time(retire["hour"]) + hour)
    )
    results["materialize_partitions"] = printed(
        lambda: client.materialize_partitions("log_entries", time(retire["hour"]), time(retire["hour"]) + hour, 3600)
    )
    results["partitions_materialized"] = client.query(PARTITIONS)
    now = datetime.datetime(2026, 2, 1, tzinfo=datetime.timezone.utc)
    times = pyarrow.array([now, now], pyarrow.timestamp("ns", "UTC"))
    rows = pyarrow.table(
        {
            "process_id": ["aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"],
            "exe": ["one", "two"],
            "start_time": times,
            "insert_time": times,
            "audience": ["all", "all"],
        }
    )
    results["bulk_ingest"] = client.bulk_ingest("processes", rows).record_count
    results["ingested"] = client.query("SELECT process_id, exe FROM processes WHERE process_id LIKE 'aaaaaaaa-%' ORDER BY exe")
    results["bulk_ingest_of_payloads"] = failure(lambda: client.bulk_ingest("payloads", rows))
    return results


def main():
    url, asked = arguments()
    begin, end = time(asked["begin"]), time(asked["end"])
    client = micromegas.connect(url)
    results = ask(client, begin, end)
    results.update(browse(client, begin, end, asked["process_id"]))
    results["preserved"] = micromegas.connect(url, preserve_dictionary=True).query_arrow(LOG, begin, end)
    results["preserved_in_pandas"] = len(micromegas.connect(url, preserve_dictionary=True).query(LOG, begin, end))
    results.update(change(client, asked["retire"]))
    token = FlightSQLClient(asked["guarded_url"], auth_provider=StaticTokenAuthProvider(asked["token"]))
    results["with_token"] = token.query("SELECT 1 AS one")
    headers = FlightSQLClient(asked["guarded_url"], headers={"authorization": f"Bearer {asked['token']}"})
    results["with_header"] = headers.query("SELECT 1 AS one")
    results["without_token"] = failure(lambda: micromegas.connect(asked["guarded_url"]).query("SELECT 1 AS one"))
    report(results)


main()
