"""A2A 1.0 and 0.3 from one port: dispatch, wire forms, tasks. The only folder that serves a2a-sdk."""
