"""Pages and fragments about devices and what they are told."""
