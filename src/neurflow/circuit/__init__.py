"""The result: its types, its files, its views and edits."""
