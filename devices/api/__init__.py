"""What devices and their managers ask over HTTP, below /api/v1/."""
