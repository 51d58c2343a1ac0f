"""The files of tests that take longest, which are run first."""

LONG = (
    "tests/sweeping/",
    "tests/attribution/test_streaming.py",
    "tests/model/test_graph.py",
    "tests/model/test_hooked.py",
    "tests/test_zoo.py",
    "tests/test_real.py",
    "tests/test_api.py",
    "tests/labels/test_validation.py",
    "tests/cli/test_report.py",
    "tests/pages/test_page.py",
    "tests/pages/test_circuit_view.py",
    "tests/demo/test_demo_pictures.py",
    "tests/method/test_discover.py",
    "tests/model/test_outputs.py",
)
"""the beginnings of the names of their tests"""
