"""One file a host, each importable only with its host; nothing in the library imports this package."""
