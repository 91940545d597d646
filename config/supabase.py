"""Supabase is PostgreSQL: its settings become a database URL."""

from urllib.parse import quote, urlsplit

import environ

POOLER_PORT = 6543
"""Supabase's transaction-mode pooler."""


def database_url(env: environ.Env) -> str:
    """SUPABASE_DB_URL as it is; else from SUPABASE_URL and SUPABASE_DB_PASSWORD; empty when neither will do.

    The service key opens Supabase's HTTP API, not its database, so it takes no part here.
    """
    direct: str = env.str("SUPABASE_DB_URL", default="")
    if direct:
        return direct
    address: str = env.str("SUPABASE_URL", default="")
    if address.startswith(("postgres://", "postgresql://")):
        return address
    host, password = urlsplit(address).hostname or "", env.str("SUPABASE_DB_PASSWORD", default="")
    if not host or not password:
        return ""
    return f"postgres://postgres:{quote(password, safe='')}@db.{host}:5432/postgres?sslmode=require"
