"""Scenarios and their footage: received with consent, kept, grown old."""
