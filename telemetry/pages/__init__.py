"""What a vehicle's page shows of its history. Included there by URL name; each is one bounded query or two."""
