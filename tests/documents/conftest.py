"""One running server for all the documents' clients."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests import migrated
from tests.documents.seed import MANAGER_EMAIL, PASSWORD, STAFF_EMAIL
from tests.environment import PYTHON, ROOT
from tests.servers import Site


@dataclass(frozen=True)
class Cloud:
    """The server's address, and a token for each document's client."""

    url: str
    tokens: dict[str, str]

    def person(self, email: str) -> dict[str, str]:
        """Headers of somebody who has logged in."""
        answer = requests.post(
            f"{self.url}/api/v1/auth/login", json={"email": email, "password": PASSWORD}, timeout=10
        )
        return {"Authorization": f"Bearer {answer.json()['access']}"}

    @property
    def manager(self) -> dict[str, str]:
        return self.person(MANAGER_EMAIL)

    @property
    def staff(self) -> dict[str, str]:
        return self.person(STAFF_EMAIL)

    def queue(self, vehicle: str, action: str, parameters: dict[str, object] | None = None) -> str:
        """A command as a manager sends it; its id."""
        order = {"action": action, "parameters": parameters or {}}
        answer = requests.post(
            f"{self.url}/api/v1/vehicles/{vehicle}/commands", json=order, headers=self.manager, timeout=10
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("documents")
    migrated.sqlite(folder / "data")
    site = Site(folder, REPLAY="0", LOGIN_RATE="1000/min")
    assert site.env
    try:
        site.start()
        command = [PYTHON, "-m", "tests.documents.seed"]
        done = subprocess.run(command, cwd=ROOT, env=site.env, stdout=subprocess.PIPE, text=True, check=True)
        yield Cloud(site.url, json.loads(done.stdout))
    finally:
        site.stop()
