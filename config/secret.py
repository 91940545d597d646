"""A secret key for machines that were given none: made once, kept in DATA_DIR, never in the repository."""

import os
import secrets
from pathlib import Path


def local_secret(folder: Path) -> str:
    """Read or create `folder`/secret-key, readable by its owner only. Safe when two processes start at once."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "secret-key"
    if not path.exists():
        draft = folder / f".secret-key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64), "utf-8")
        try:
            os.link(draft, path)  # fails when another process was first: then its key counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text("utf-8")
