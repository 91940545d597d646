"""Clients written from one of the five documents each, knowing nothing else, against a running server."""
