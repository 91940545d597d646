"""Places that matter: their shapes, who was in them and when, and what crossing them means."""
