"""The nouns people manage and what they look at: fleets, members, vehicles. The ground floor of the server."""
