"""A server of S3 on a free port of this machine, for the tests: moto's.

It asks who asks, unless it is called with `anyone`. The first line on standard output is a JSON object with the address and
the keys of two users: `writer` may do all that S3 has, `stranger` nothing. There is a bucket `lake`. Then every line on
standard input is a question, and is answered by a line of JSON: `objects` and `uploads` by the names of the objects that are
there and of the uploads that are neither complete nor given up, `etag NAME` and `sha256 NAME` by those of an object, which
`remove NAME` takes away. It ends with its standard input.
"""

import hashlib
import json
import logging
import os
import sys

# So many requests are taken from anyone: those below that make the bucket and the users.
SETUP_REQUESTS = 7
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "inf" if "anyone" in sys.argv else str(SETUP_REQUESTS)

import boto3  # noqa: E402
from moto.core import DEFAULT_ACCOUNT_ID  # noqa: E402
from moto.moto_server.werkzeug_app import DomainDispatcherApplication  # noqa: E402
from moto.s3.models import s3_backends  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

BUCKET = "lake"


def make_users(iam) -> dict[str, dict[str, str]]:
    users = {}
    for name, effect in (("writer", "Allow"), ("stranger", "Deny")):
        statement = {"Effect": effect, "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="s3", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        users[name] = {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    return users


def pass_over_bearers() -> None:
    """A client of Google's shows a bearer token, which moto takes for a signature and fails at."""
    call = DomainDispatcherApplication.__call__

    def without_bearer(self, environ, start_response):
        if environ.get("HTTP_AUTHORIZATION", "").startswith("Bearer"):
            del environ["HTTP_AUTHORIZATION"]
        return call(self, environ, start_response)

    DomainDispatcherApplication.__call__ = without_bearer


def answer(bucket, question: str, name: str = ""):
    match question:
        case "objects":
            return list(bucket.keys.keys())
        case "uploads":
            return [upload.key_name for upload in bucket.multiparts.values()]
        case "etag":
            return bucket.keys[name].etag
        case "sha256":
            return hashlib.sha256(bucket.keys[name].value).hexdigest()
        case "remove":
            return bucket.keys.pop(name).name
        case _:
            raise ValueError(question)


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if "anyone" in sys.argv:
        pass_over_bearers()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"

    def client(service: str):
        key = "anyone"
        return boto3.client(
            service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=key
        )

    client("s3").create_bucket(Bucket=BUCKET)
    users = make_users(client("iam"))
    print(json.dumps({"url": url, "users": users}), flush=True)
    bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET]
    for line in sys.stdin:
        print(json.dumps(answer(bucket, *line.split())), flush=True)
    server.stop()


main()
