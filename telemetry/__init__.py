"""Bytes to history: transports, inbox, reconstruction, store, live push."""
