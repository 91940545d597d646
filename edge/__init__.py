"""What runs in the car: the wire protocol, loggers and clients. Imports nothing of the server."""
