"""The operations over HTTP: an ASGI application, its description, and the server that bounds its clients."""
