"""The wire: requests, content negotiation, routes and answers, on plain ASGI."""
