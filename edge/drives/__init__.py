"""Sample drives through Berlin, and the tool that made them."""
