"""What is nobody's business, and how long the rest is kept: private time, retention, export and erasure of people."""
