"""kill -9 between claim and send of a notification: what a real receiver and a real mail server saw of it.

The receivers stall, so that the sender dies at a moment that is known; no hook in the product is needed for it.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import migrated
from tests.environment import PYTHON, ROOT
from tests.faults.stack import Stack, empty, manage
from tests.receivers import HttpReceiver, MailServer, http_receiver, mail_server
from tests.servers import Postgres, Valkey, wait_until

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]

RAISE = """
from django.utils import timezone
from fleet.alerting.alerts import Report, raise_alert
from fleet.models import Severity, Vehicle
raise_alert(Vehicle.objects.get(), Report("{kind}", Severity.CRITICAL, "{kind}", timezone.now()))
"""
# Everything that has to be there, an alert, and a process that claims its delivery and goes no further.
BEGIN = (
    """
import time
from devices.provision import VehicleFacts, provision
from fleet.notifying import deliveries, webhooks
from fleet.audit import SYSTEM
from fleet.models import Fleet, Membership, Role, User, Webhook
provision("storm", "car", VehicleFacts(vin="STORM00000001"), "test")
fleet = Fleet.objects.get(slug="storm")
Membership.objects.create(fleet=fleet, user=User.objects.create_user("chief@example.com"), role=Role.OWNER)
webhooks.create(SYSTEM, fleet, Webhook(name="ours", url="{url}"))
"""
    + RAISE
    + """
print(len(deliveries.claim(timezone.now(), 8, [])), flush=True)
time.sleep(600)
"""
)


class Office(Stack):
    """A worker with beat, and whom it sends to."""

    http: HttpReceiver
    mail: MailServer

    def states(self) -> tuple[str, str]:
        """Of the newest e-mail and the newest delivery."""
        (mail,) = self.query(
            "SELECT state FROM notifications WHERE channel = 'email' ORDER BY id DESC LIMIT 1"
        )
        (hook,) = self.query("SELECT state FROM webhook_deliveries ORDER BY id DESC LIMIT 1")
        return mail[0], hook[0]

    def wait_for(self, mail: str, hook: str) -> None:
        try:
            wait_until(lambda: self.states() == (mail, hook), "the outcome", 60)
        except TimeoutError:
            pytest.fail(f"{self.states()}\n{self.worker.log[-3000:]}")

    def end_leases(self) -> None:
        """Nobody waits for minutes in a test: the rows are told that they have passed."""
        with psycopg.connect(self.postgres.url) as connection:
            for table in ("notifications", "webhook_deliveries"):
                connection.execute(
                    f"UPDATE {table} SET due_at = now() - interval '1 second' WHERE claim <> '' AND due_at IS NOT NULL"
                )

    def begin_and_die(self) -> None:
        """A process claims what waits for the webhook, says so, and is killed."""
        code = BEGIN.format(url=self.http.url, kind="first")
        command = [PYTHON, "manage.py", "shell", "-v", "0", "-c", code]
        with subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=subprocess.PIPE) as process:
            assert process.stdout
            told = process.stdout.readline()
            process.kill()
        assert told == b"1\n"


@pytest.fixture
def office(tmp_path: Path, postgres_server: Postgres, valkey_server: Valkey) -> Iterator[Office]:
    empty(postgres_server)
    with http_receiver() as http, mail_server() as mail:
        found = Office(tmp_path, postgres_server, valkey_server)
        migrated.postgres(postgres_server, found.env)
        found.http, found.mail = http, mail
        found.env |= {"EMAIL_URL": mail.url, "WEBHOOK_PRIVATE_NETWORKS": "true"}
        yield found
        http.stalled.clear()
        mail.stall_at = ""
        found.worker.kill()


def test_what_receivers_see_of_a_sender_that_dies(office: Office) -> None:
    http, mail = office.http, office.mail

    # Between claim and mark: nothing went out, the next one sends both, once.
    mail.stall_at = "EHLO"
    office.begin_and_die()
    office.worker.spawn()
    assert mail.stalling.wait(60), office.worker.log[-3000:]
    office.worker.kill()
    assert office.states() == ("waiting", "waiting") and not http.heard and not mail.mails
    mail.stall_at = ""
    office.end_leases()
    office.worker.spawn()
    office.wait_for("sent", "delivered")
    assert len(http.heard) == len(mail.mails) == 1

    # After the mark, when both receivers have it and nobody knows: the webhook goes again under its id, the mail never.
    mail.stalling.clear()
    mail.stall_at = "END"
    http.stalled.set()
    manage(office.env, "shell", "-v", "0", "-c", RAISE.format(kind="second"))
    wait_until(lambda: len(http.heard) == 2 and mail.stalling.is_set(), "both to have it", 60)
    office.worker.kill()
    assert office.states() == ("sending", "sending")
    http.stalled.clear()
    mail.stall_at = ""
    office.end_leases()
    office.worker.spawn()
    office.wait_for("uncertain", "delivered")
    time.sleep(6)  # a sweep more
    assert office.states() == ("uncertain", "delivered") and len(mail.mails) == 2
    first, second, again = http.ids
    assert second == again != first and http.heard[1].body == http.heard[2].body
    log = office.query("SELECT log FROM webhook_deliveries ORDER BY id DESC LIMIT 1")[0][0]
    assert "ended before it knew" in log[0]["error"] and log[1]["status"] == 200
