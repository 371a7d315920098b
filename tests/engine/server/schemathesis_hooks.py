"""What schemathesis is told beside the API's description."""

import schemathesis


@schemathesis.hook  # type: ignore[untyped-decorator]  # typed only where it is installed
def map_body(context: object, body: object) -> object:
    """Leave the model out: almost every name that it makes up is one that is not served, and the
    request would end there."""
    del context
    if isinstance(body, dict):
        body.pop("model", None)
    return body
