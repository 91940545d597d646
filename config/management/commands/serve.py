"""`manage.py serve`: the whole product in one process. What `make run` starts."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Migrate, make a demo fleet, and serve site, worker and replayed drives from one process."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.PORT)

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        _check_port(host, port)
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        self._say("Preparing the database ...")
        call_command("migrate", verbosity=0, interactive=False)
        self._serve(host, port)

    def _serve(self, host: str, port: int) -> None:
        from config import demo, embedded
        from config.asgi import application
        from config.daphne import PatientServer
        from telemetry.tasks import keep_partitions

        keep_partitions()
        admin = demo.first_administrator()
        count = demo.wanted_vehicles(settings.REPLAY)
        folder = settings.DATA_DIR / "replay"
        replay = None
        if count:
            local = "127.0.0.1" if host in {"0.0.0.0", ""} else host
            replay = embedded.Replay(demo.demo_fleet(count, folder, f"http://{local}:{port}"), folder)
        embedded.start_worker()
        embedded.start_beat()

        def ready() -> None:
            self._welcome(host, port, admin, count)
            if replay:
                replay.start()

        interface = host.replace(":", r"\:")
        server = PatientServer(
            application,
            endpoints=[f"tcp:port={port}:interface={interface}"],
            ready_callable=ready,
            verbosity=0,
            server_name="convoy",
        )
        if replay:
            server.before_shutdown(replay.stop)
        try:
            server.run()
        finally:
            self._say("Stopped. Everything received is kept in " + str(settings.DATA_DIR))
            sys.stdout.flush()

    def _welcome(self, host: str, port: int, admin: tuple[str, str] | None, count: int) -> None:
        shown = "localhost" if host in {"0.0.0.0", "127.0.0.1", ""} else host
        self._say("")
        self._say(f"  Convoy is running at   http://{shown}:{port}/")
        if admin:
            self._say(f"  Log in as              {admin[0]}")
            self._say(f"  One-time password      {admin[1]}   (shown only now)")
        else:
            self._say("  Log in with the password shown at the first start;")
            self._say(f"  lost it? .venv/bin/python manage.py changepassword {_administrator()}")
        if count:
            self._say(f"  {count} electric vehicles are driving through Berlin. REPLAY=0 leaves them out.")
        if folder := getattr(settings, "EMAIL_FILE_PATH", None):
            self._say(f"  E-mail is written to   {folder}   (EMAIL_URL names a mail server)")
        self._say("  Ctrl-C stops it.")
        self._say("")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _administrator() -> str:
    from fleet.models import User

    return User.objects.filter(is_superuser=True).values_list("email", flat=True).first() or "EMAIL"


def _check_port(host: str, port: int) -> None:
    """Say so before the migrations when the port is taken."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1" if host == "" else host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} is taken ({error.strerror}). Try PORT={port + 1} make run"
            ) from error
