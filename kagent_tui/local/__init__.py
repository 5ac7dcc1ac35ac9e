"""The local cluster as a product: starts ``kagent_localcluster``, installs the operator in it, and the demo.

The only package that knows ``kagent_localcluster``; it runs it as a process. Never imports Textual.
"""
