"""The live explorer, which connects a page to the model: ``neurflow explore``.

::

    browser ── guard ── app ── Session ── Worker ── neurflow.debug, neurflow.audit, labels
               access    routes  state      one computation
               rules                        at a time

The page is the one that ``neurflow report`` writes. A served page contains no circuit and requests it
from the server. All figures are computed by ``neurflow.debugging``, so the page and the command line
show the same numbers.
"""
