"""Where vehicles went: trips, stops and charging sessions, found in records or told by devices."""
