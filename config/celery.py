"""The Celery application: workers and beat start from here (`celery -A config worker`)."""

import os

from celery import Celery
from celery.signals import worker_process_init

from config.memory import settle

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("convoy")
# The current app is thread-local; embedded mode runs a worker in a thread of the web process.
app.set_default()
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
def _settle(**_: object) -> None:
    settle()
