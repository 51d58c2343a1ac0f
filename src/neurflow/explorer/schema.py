"""``python -m neurflow.explorer.schema``: the schema that the live front end's types are made from."""

from neurflow.explorer.messages import Messages
from neurflow.report.schema import schema

if __name__ == "__main__":
    print(schema(Messages), end="")
