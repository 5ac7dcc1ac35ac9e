"""Models behind one Protocol (``base.Model``); ``factory.build_model`` chooses. Imports nothing heavy by itself."""
