"""The API follows its OpenAPI description, also for generated requests."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.testclient import TestClient

import neurflow
from neurflow.server.app import create_app
from neurflow.server.session import Session
from tests.cli.conftest import model_of

NAME = "testserver"
"""address of the server for schemathesis"""


# The description does not say which bytes are a picture and which groups exist, so a request that
# follows it may still be refused (``positive_data_acceptance``).


@pytest.fixture
def described(stored, built, tmp_path):
    neurflow.load_circuit(stored).save(tmp_path / "run")
    session = Session(tmp_path / "run", model_of)
    app = create_app(session, host=NAME)
    with TestClient(app, base_url=f"http://{NAME}"):
        # CPython 3.11 cannot parse source code in two threads at once. PyTorch parses it to export the
        # model, and Hypothesis to look for constants
        session.worker.submit(lambda: None).result()
        yield schemathesis.openapi.from_asgi("/api/openapi.json", app)


def test_responses_follow_the_openapi_description(described):
    asked = []
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=15,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def holds(case):
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        holds()
        asked.append(operation.label)
    assert len(asked) == 15
