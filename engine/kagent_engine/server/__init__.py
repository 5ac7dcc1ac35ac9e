"""A2A 1.0 and 0.3 from one port: dispatch, wire forms, tasks. Its own server; the tests hold it against a2a-sdk."""
