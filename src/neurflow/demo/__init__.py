"""The embedded demo: drawn pictures, and a small network that the project trained on them.

Everything the demo shows is made here, so everything about it is known: which parts each picture
has and where (``pictures``), which two classes are hard to tell apart, and which mark was planted
as a shortcut. What a circuit says about ``network`` can therefore be checked against the truth.
``train`` makes the shipped weights again.
"""
