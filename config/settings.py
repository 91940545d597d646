"""All settings, from the environment. Without any, the product runs embedded: SQLite, in-process everything.

Every name is listed in `.env.example`; wrong or unsafe values are reported by `manage.py check` (config/checks.py).
"""

from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF

from config import api, footage, mail, people, supabase
from config.adminlook import UNFOLD  # noqa: F401 - the admin theme's setting
from config.schedule import SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    from config.secret import local_secret

    SECRET_KEY = local_secret(DATA_DIR)
PORT = env.int("PORT", default=8000)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_ALLOW_HEADERS, CORS_EXPOSE_HEADERS = api.CORS_ALLOW_HEADERS, api.CORS_EXPOSE_HEADERS

INSTALLED_APPS = [
    "daphne",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "axes",
    "csp",
    "django_htmx",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "fleet",
    "devices",
    "telemetry",
    "profiles",
    "config",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.csp.ContentSecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "fleet.api.front.ApiFront",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "config.slashes.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "fleet.people.sessions.SeenMiddleware",
    "fleet.pages.enrolment.StaffEnrolMiddleware",
    "fleet.timezone.TimezoneMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Data -------------------------------------------------------------------------------------------------
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _database() -> dict[str, Any]:
    """DATABASE_URL, or Supabase's PostgreSQL when that is enabled, or SQLite in DATA_DIR."""
    url = env.str("DATABASE_URL", default="")
    if env.bool("ENABLE_SUPABASE", default=False) and not url:
        url = supabase.database_url(env)
    if not url:
        url = f"sqlite:///{DATA_DIR / 'convoy.sqlite3'}"
    database: dict[str, Any] = env.db_url_config(url)
    if database["ENGINE"].endswith("sqlite3"):
        # IMMEDIATE: a deferred transaction that upgrades to a write fails at once under concurrency.
        database["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA cache_size=-20000;",
        }
        database["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    else:
        size = env.int("DATABASE_POOL_SIZE", default=10)
        database["CONN_MAX_AGE"] = 0
        options = database.setdefault("OPTIONS", {})
        options["pool"] = {"min_size": 1, "max_size": size, "timeout": 4}
        # A transaction-mode pooler (Supabase, PgBouncer) cannot keep prepared statements or server cursors.
        if env.bool("DATABASE_POOLER", default=database.get("PORT") == supabase.POOLER_PORT):
            options["prepare_threshold"] = None
            database["DISABLE_SERVER_SIDE_CURSORS"] = True
        else:  # a pooler may refuse this; compiling a report's query takes ten times as long as running it
            options["options"] = f"{options.get('options', '')} -c jit=off".strip()
    return database


DATABASES = {"default": _database()}
SUPABASE_ENABLED = env.bool("ENABLE_SUPABASE", default=False)
SUPABASE_URL = env.str("SUPABASE_URL", default="")
SUPABASE_SERVICE_KEY = env.str("SUPABASE_SERVICE_KEY", default="")

REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    CHANNEL_LAYERS: dict[str, Any] = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL]},
        }
    }
    CACHES: dict[str, Any] = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "config.layer.LoopBoundInMemoryLayer"}}
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- Celery -----------------------------------------------------------------------------------------------
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL or "memory://")
EMBEDDED = CELERY_BROKER_URL.startswith("memory:")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"polling_interval": 0.01} if EMBEDDED else {}
CELERY_BEAT_SCHEDULE = SCHEDULE
CELERY_TASK_QUEUES, CELERY_TASK_ROUTES = mail.QUEUES, mail.ROUTES

# --- What goes out ----------------------------------------------------------------------------------------
# EMAIL_BACKEND, EMAIL_HOST …
globals().update(mail.mail(env, DATA_DIR))
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT_S", default=20)
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("EMAIL_FROM", default="Convoy <convoy@localhost>")
WEBHOOK_PRIVATE_NETWORKS = env.bool("WEBHOOK_PRIVATE_NETWORKS", default=EMBEDDED or DEBUG)
NOTIFICATION_DAYS = env.int("NOTIFICATION_DAYS", default=90)

# --- Telemetry --------------------------------------------------------------------------------------------
FAST_LANE = env.bool("FAST_LANE", default=True)
TELEMETRY_BODY_LIMIT = 1024 * 1024
TELEMETRY_BATCH_LIMIT = 2000
DRAIN_SHARDS = env.int("DRAIN_SHARDS", default=2)
TELEMETRY_GAP_WAIT_S = env.float("TELEMETRY_GAP_WAIT_S", default=10.0)
TELEMETRY_HELD_DAYS = env.int("TELEMETRY_HELD_DAYS", default=30)
TELEMETRY_RETENTION_MONTHS = env.int("TELEMETRY_RETENTION_MONTHS", default=0)
MINUTE_ROLLUP_DAYS = env.int("MINUTE_ROLLUP_DAYS", default=35)
HOUR_ROLLUP_DAYS = env.int("HOUR_ROLLUP_DAYS", default=400)
TOKEN_CACHE_S = env.float("TOKEN_CACHE_S", default=5.0)
INGEST_RATE = env.str("INGEST_RATE", default="50/s")
INGEST_BURST = env.int("INGEST_BURST", default=500)
OFFLINE_AFTER_S = env.int("OFFLINE_AFTER_S", default=120)
STATUS_DAYS = env.int("STATUS_DAYS", default=400)
MODEL_PUBLIC_KEYS = env.list("MODEL_PUBLIC_KEYS", default=[])
TUF_ONLINE_KEYS = env.list("TUF_ONLINE_KEYS", default=[])
MODEL_URL_MINUTES = env.int("MODEL_URL_MINUTES", default=60)
PROFILE_VERSIONS_KEPT = env.int("PROFILE_VERSIONS_KEPT", default=20)
REPLAY = env.str("REPLAY", default="")

# --- People -----------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "fleet.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "live-map"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = people.PASSWORD_HASHERS
AUTH_PASSWORD_VALIDATORS = people.AUTH_PASSWORD_VALIDATORS
globals().update(people.log_in(env))
TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en"
USE_I18N = False

# --- API --------------------------------------------------------------------------------------------------
REST_FRAMEWORK = api.rest_framework(env)
SIMPLE_JWT = api.simple_jwt(env)
SPECTACULAR_SETTINGS = api.SPECTACULAR_SETTINGS

# --- Pages ------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
NODE_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS: list[Any] = [
    BASE_DIR / "static",
    *(
        (f"vendor/{name}", NODE_MODULES / folder)
        for name, folder in (
            ("leaflet", "leaflet/dist"),
            ("uplot", "uplot/dist"),
            ("pico", "@picocss/pico/css"),
            ("topojson", "topojson-client/dist"),
            ("world", "world-atlas"),
        )
        if (NODE_MODULES / folder).is_dir()
    ),
]
PDF_FONTS = NODE_MODULES / "dejavu-fonts-ttf" / "ttf"
HASHED_STATIC = env.bool("HASHED_STATIC", default=False)
STORAGES = {
    "default": {"BACKEND": "fleet.recording.footage.DurableStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if HASHED_STATIC
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not HASHED_STATIC
MEDIA_ROOT = DATA_DIR / "media"
FOOTAGE = footage.limits(env)
TILE_URL = env.str("TILE_URL", default="")
TILE_ATTRIBUTION = env.str("TILE_ATTRIBUTION", default="")
# --- Security ---------------------------------------------------------------------------------------------
HTTPS = env.bool("HTTPS", default=False)
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^health$"]
    SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
SITE_URL = mail.site_url(env, ALLOWED_HOSTS, PORT, HTTPS)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", default=HTTPS)
CSRF_COOKIE_HTTPONLY = False  # live pages send it as a header
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
_TILES = [TILE_URL.split("/{", 1)[0]] if TILE_URL else []
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        # Leaflet and uPlot place elements with the style attribute.
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:", *_TILES],
        "connect-src": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "object-src": [NONE],
    }
}

# --- Logs -------------------------------------------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "axes": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        "django.channels.server": {"level": "WARNING"},
        "celery": {"level": "WARNING" if EMBEDDED else LOG_LEVEL},
        "kombu": {"level": "ERROR"},
        "fontTools": {"level": "WARNING"},
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * TELEMETRY_BODY_LIMIT
