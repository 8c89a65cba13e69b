"""The HTTP edge: Litestar and uvicorn stay here."""
