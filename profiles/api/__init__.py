"""Driver profiles over the API."""
