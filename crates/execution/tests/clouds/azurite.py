"""A server of Azure blobs on a free port of this machine, for the tests: Azurite, whose program is the only argument.

The first line on standard output is a JSON object with the address, the account and its key. There is a container `lake`.
Then every line on standard input is a question, as those of `s3.py`. It ends with its standard input.
"""

import hashlib
import json
import re
import subprocess
import sys

from azure.storage.blob import BlobServiceClient

CONTAINER = "lake"

# The account that every Azurite has, as its documentation tells.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def answer(container, question: str, name: str = ""):
    match question:
        case "objects":
            return [blob.name for blob in container.list_blobs()]
        case "sha256":
            return hashlib.sha256(container.download_blob(name).readall()).hexdigest()
        case _:
            raise ValueError(question)


def main() -> None:
    arguments = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
    quiet = ["--skipApiVersionCheck", "--disableTelemetry"]
    server = subprocess.Popen([sys.argv[1], *arguments, *quiet], stdout=subprocess.PIPE, text=True)
    try:
        lines = (re.search(r"listens on (http://\S+)", line) for line in server.stdout)
        url = next(found[1] for found in lines if found) + "/" + ACCOUNT
        container = BlobServiceClient(url, credential=KEY).create_container(CONTAINER)
        print(json.dumps({"url": url, "account": ACCOUNT, "key": KEY}), flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(container, *line.split())), flush=True)
    finally:
        server.terminate()
        server.wait()


main()
