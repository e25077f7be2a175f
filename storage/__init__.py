"""The studies, our own tables in the same database, and what is read back from them."""
