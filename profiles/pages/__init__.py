"""Pages about drivers and their profiles."""
