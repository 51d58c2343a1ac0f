"""The embedded demo: drawn pictures, and a small network that the project trained on them.

All contents of the demo are generated here, and their properties are known: which parts each picture
has and where (``pictures``), which two classes are hard to tell apart, and which mark was planted
as a shortcut. A circuit of ``network`` can therefore be compared with the ground truth.
``train`` makes the shipped weights again.
"""
