"""What follows from stored records: touched spans, and every consumer that judges them anew."""
