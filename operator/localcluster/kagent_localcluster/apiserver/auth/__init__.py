"""Who is asking, and whether they may: keys and tokens, RBAC, and the review kinds that answer questions about both."""
