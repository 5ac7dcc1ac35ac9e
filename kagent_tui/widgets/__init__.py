"""One widget per file, its .tcss beside it. A widget gets rows or lines and posts messages; it asks no cluster."""
