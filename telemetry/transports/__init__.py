"""Ways in: each parses, authenticates, hands over to telemetry.ingest, and answers with the receipt."""
