"""What crosses apps: servers, faults, permissions, architecture. Each app keeps its own beside its code."""
