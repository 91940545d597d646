"""config.settings as the test process sees them.

TEST_DATABASE_URL and TEST_REDIS_URLS choose the servers; one Redis URL per xdist worker, so that two
workers never share a channel layer. A developer's own DATABASE_URL is never touched.
"""

import atexit
import os
import shutil
import tempfile
from unittest import mock

import environ

from tests.environment import setting_names

_folder = tempfile.mkdtemp(prefix="convoy-test-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_redis_urls = os.environ.get("TEST_REDIS_URLS", "").split() or [""]

for _name in setting_names():
    os.environ.pop(_name, None)
os.environ.update(
    DATA_DIR=_folder,
    STATIC_ROOT=_folder,
    SECRET_KEY="only for tests: " + "x" * 50,
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL", ""),
    REDIS_URL=_redis_urls[_worker % len(_redis_urls)],
)

with mock.patch.object(environ.Env, "read_env"):
    from config.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

# A client makes its own handler, and every handler would index all static files: 0.1 s a client. With this they are
# looked up when asked for.
WHITENOISE_AUTOREFRESH = True
