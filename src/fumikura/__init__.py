"""Reads archives of scanned Japanese books in kuzushiji into a database."""
