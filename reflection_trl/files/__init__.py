"""Reads and writes files: run folders, model folders, and the files that processes share."""
