"""What runs in the car: no Django in here."""
