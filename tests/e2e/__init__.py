"""What a person sees, in a real browser, against the product started as its users start it."""
