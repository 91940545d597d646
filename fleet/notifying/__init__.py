"""Telling people and programs: planned with the change, sent by workers, once."""
