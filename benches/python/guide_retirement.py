"""The guide's loop with the published Python client: one retirement an instance, one after the other.

Usage: guide_retirement.py URL. Retires everything that is not `global` there, and prints the seconds as JSON.
"""

import contextlib
import io
import json
import sys
import time

from micromegas.flightsql.client import FlightSQLClient

INSTANCES = """
SELECT view_set_name, view_instance_id, min(begin_insert_time) AS first, max(end_insert_time) AS last
FROM list_partitions() WHERE view_instance_id != 'global' GROUP BY view_set_name, view_instance_id
"""


def main():
    client = FlightSQLClient(sys.argv[1])
    start = time.monotonic()
    instances = client.query(INSTANCES)
    for row in instances.itertuples():
        # The client prints every message.
        with contextlib.redirect_stdout(io.StringIO()):
            client.retire_partitions(row.view_set_name, row.view_instance_id, row.first, row.last)
    print(json.dumps({"instances": len(instances), "whole_s": time.monotonic() - start}))


main()
