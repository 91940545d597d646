"""What speaks for a vehicle: devices and the tokens they authenticate with."""
