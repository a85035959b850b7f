"""A real OpenID Connect provider for the tests: says its port on standard output, and lives until standard input ends."""

import datetime
import os
import sys

import oidc_provider_mock
from oidc_provider_mock import User

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

age = datetime.timedelta(seconds=int(sys.argv[1]))
user = User(sub="ann", claims={"email": "ann@example.com", "name": "Ann"})
with oidc_provider_mock.run_server_in_thread(access_token_max_age=age, user_claims=[user]) as server:
    print(server.server_port, flush=True)
    sys.stdin.read()
