"""Health check of a container: `python deploy/probe.py PORT` asks /health under the name of the site."""

import os
import sys
import urllib.request


def main(port: str) -> None:
    host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].lstrip(".")
    request = urllib.request.Request(f"http://127.0.0.1:{port}/health", headers={"Host": host})
    # Anything but a 2xx raises, and so ends with a code that is not 0.
    urllib.request.urlopen(request, timeout=8).close()


if __name__ == "__main__":
    main(sys.argv[1])
