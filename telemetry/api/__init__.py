"""The REST API of what was measured."""
