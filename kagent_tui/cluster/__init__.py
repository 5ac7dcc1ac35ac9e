"""The live view of a cluster: contexts, store, references, queries. Raw objects only; nothing here renders."""
