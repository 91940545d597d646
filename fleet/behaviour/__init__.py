"""How somebody drives: driving events, whose they are, and the score that is made of them."""
