"""Driver profiles: encrypted, versioned, merged."""
