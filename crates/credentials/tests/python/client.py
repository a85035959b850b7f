"""What the published Python client makes of the same files: `settings` of each home folder, or the `token` in a file."""

import json
import os
import sys
from unittest import mock

from micromegas.cli import config


def settings(path, profile, variables):
    ours = ("MICROMEGAS_",)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with mock.patch.dict(os.environ, {**kept, **variables}, clear=True):
        try:
            found = config.resolve_connection(config_path=path, profile=profile)
        except ValueError:
            return {"refused": True}
    return {
        "url": found.uri,
        "profile": found.profile,
        "api_key_file": found.api_key_file,
        "issuer": found.oidc_issuer,
        "client_id": found.oidc_client_id,
        "client_secret": found.oidc_client_secret,
        "audience": found.oidc_audience,
        "scope": found.oidc_scope,
        "token_file": os.path.basename(found.token_file),
    }


def token(path):
    from micromegas.auth import OidcAuthProvider

    return OidcAuthProvider.from_file(path).get_token()


if sys.argv[1] == "settings":
    print(json.dumps([settings(*case) for case in json.load(sys.stdin)]))
else:
    print(token(sys.argv[2]))
