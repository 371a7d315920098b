"""GET /v1/models and /v1/models/NAME: the one model that is served."""

from starlette.requests import Request
from starlette.responses import Response

from ..protocol.served import Serving
from .answers import json_response
from .context import check_model, context_of
from .schema.service import ModelCard, ModelList


async def list_models(request: Request) -> Response:
    """All that is served. Raises `ApiError` (503) where nothing is."""
    return json_response(ModelList(data=[_card(context_of(request).serving())]))


async def read_model(request: Request) -> Response:
    """The card of a model. Raises `ApiError` (404) for one that is not served."""
    serving = context_of(request).serving()
    check_model(request.path_params["model"], serving)
    return json_response(_card(serving))


def _card(serving: Serving) -> ModelCard:
    return ModelCard(
        id=serving.model,
        created=int(serving.loaded_at_wall_s),
        root=serving.model,
        max_model_len=serving.context_tokens,
    )
