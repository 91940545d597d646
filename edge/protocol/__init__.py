"""The wire format and its predictor, shared by cars and server so that they cannot drift.

Pure Python over protobuf; no Django. `docs/protocol.md` is the same in words, for other languages.
"""
