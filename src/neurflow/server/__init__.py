"""The explorer with the model behind it: ``neurflow explore``.

::

    browser ── guard ── app ── Session ── Worker ── neurflow.debug, neurflow.audit, labels
               who may   routes  what is    one computation
               ask               held       at a time

The page is the one that ``neurflow report`` writes; here it finds no circuit inside and asks for it.
Nothing is computed in this folder: what a picture shows and what a mask changes come from
``neurflow.debugging``, so that the page and the command line tell the same numbers.
"""
