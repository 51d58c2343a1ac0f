"""The run-time check of annotations, which ``tests/conftest.py`` applies to the numeric core."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""beartype's check, except that an ``int`` may be passed as a ``float``, as type checkers allow"""
