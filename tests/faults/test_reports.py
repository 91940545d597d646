"""kill -9 while a scheduled report is written and while it is mailed: one file, one mail, and no false word."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import migrated
from tests.environment import PYTHON, ROOT
from tests.faults.stack import Stack, empty
from tests.receivers import MailServer, mail_server
from tests.servers import Postgres, Valkey, wait_until

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]

# A schedule whose time has come, and a process that claims its file and goes no further.
BEGIN = """
import time
from datetime import timedelta
from django.utils import timezone
from devices.provision import VehicleFacts, provision
from fleet.audit import SYSTEM
from fleet.models import Fleet, Membership, ReportSchedule, Role, User
from fleet.reports import exports, schedules
from fleet.reports.wishes import Wish
provision("storm", "car", VehicleFacts(vin="STORM00000001"), "test")
fleet, now = Fleet.objects.get(slug="storm"), timezone.now()
Membership.objects.create(fleet=fleet, user=User.objects.create_user("chief@example.com"), role=Role.OWNER)
due = now - timedelta(minutes=1)
fields = {"name": "Figures", "report": "devices", "format": "csv", "rhythm": "daily", "at": due.time()}
plan = schedules.Plan(fields | {"time_zone": "UTC"}, Wish(), ["chief@example.com"])
schedules.keep(SYSTEM, ReportSchedule(fleet=fleet), plan)
ReportSchedule.objects.update(next_at=due)
print(schedules.plan_due(now), exports.claim(now) is not None, flush=True)
time.sleep(600)
"""


class Office(Stack):
    """A worker with beat, and the mail server it sends to."""

    mail: MailServer

    def state(self) -> tuple[str, str, int]:
        """Of the file, of its mail, and how many files there are."""
        ((file,),) = self.query("SELECT state FROM report_exports")
        mail = self.query("SELECT state FROM report_deliveries")
        folder = Path(self.env["DATA_DIR"]) / "media" / "reports"
        return file, mail[0][0] if mail else "", len(list(folder.glob("*"))) if folder.exists() else 0

    def wait_for(self, *state: object) -> None:
        try:
            wait_until(lambda: self.state() == state, "the outcome", 60)
        except TimeoutError:
            pytest.fail(f"{self.state()}\n{self.worker.log[-3000:]}")

    def end_leases(self) -> None:
        """Nobody waits for minutes in a test: the rows are told that they have passed."""
        with psycopg.connect(self.postgres.url) as connection:
            for table in ("report_exports", "report_deliveries"):
                connection.execute(
                    f"UPDATE {table} SET due_at = now() - interval '1 second' WHERE due_at IS NOT NULL"
                )


@pytest.fixture
def office(tmp_path: Path, postgres_server: Postgres, valkey_server: Valkey) -> Iterator[Office]:
    empty(postgres_server)
    with mail_server() as mail:
        found = Office(tmp_path, postgres_server, valkey_server)
        migrated.postgres(postgres_server, found.env)
        found.mail = mail
        found.env |= {"EMAIL_URL": mail.url}
        yield found
        mail.stall_at = ""
        found.worker.kill()


def test_who_dies_while_a_report_is_written_and_mailed(office: Office) -> None:
    mail = office.mail
    command = [PYTHON, "manage.py", "shell", "-v", "0", "-c", BEGIN]
    with subprocess.Popen(command, cwd=ROOT, env=office.env, stdout=subprocess.PIPE) as process:
        assert process.stdout
        told = process.stdout.readline()
        process.kill()
    assert told == b"1 True\n" and office.state() == ("running", "", 0)

    # The file is taken up again; the next sender dies between claim and mark: nothing went out.
    mail.stall_at = "EHLO"
    office.end_leases()
    office.worker.spawn()
    assert mail.stalling.wait(60), office.worker.log[-3000:]
    office.worker.kill()
    assert office.state() == ("done", "waiting", 1) and not mail.mails

    # The next dies after the mark, when the mail server has it: nobody knows, so it is not sent again.
    mail.stalling.clear()
    mail.stall_at = "END"
    office.end_leases()
    office.worker.spawn()
    assert mail.stalling.wait(60), office.worker.log[-3000:]
    office.worker.kill()
    assert office.state() == ("done", "sending", 1)
    mail.stall_at = ""
    office.end_leases()
    office.worker.spawn()
    office.wait_for("done", "uncertain", 1)
    time.sleep(6)  # a sweep more
    assert office.state() == ("done", "uncertain", 1) and len(mail.mails) == 1
    assert office.query("SELECT count(*) FROM report_exports") == [(1,)]
