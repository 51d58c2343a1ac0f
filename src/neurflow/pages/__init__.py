"""A circuit as a page: one self-contained file that opens from disk, offline."""

from neurflow.pages.page import write_report

__all__ = ["write_report"]
