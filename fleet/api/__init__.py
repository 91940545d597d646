"""The REST API of the nouns: read-only for devices and people, narrowed to what each may see."""
