"""``python -m neurflow.server.schema``: the schema that the live front end's types are made from."""

from neurflow.pages.schema import schema
from neurflow.server.messages import Messages

if __name__ == "__main__":
    print(schema(Messages), end="")
