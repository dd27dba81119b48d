"""What a service answers besides its catalogs: its advertisement and sessions."""

from __future__ import annotations

from ermpoll.sandbox.errors import HttpError, forbidden, not_found
from ermpoll.sandbox.http.messages import Answer, Request, json_answer
from ermpoll.sandbox.model.clients import ANONYMOUS, Logins, session_doc

_FEATURES = (
    "trs",
    "tcrs",
    "history_control",
    "implicit_fkey_index",
    "catalog_post_input",
    "catalog_alias",
    "quantified_value_lists",
    "quantified_rid_lists",
    "rid_lease",
    "registry_catalog",
    "csv_array_json",
)
_INDEXING = ("btree", "btree_column_list", "trgm", "gin_array")


def advertise() -> Answer:
    """Answer ``GET /ermrest/``."""
    features: dict[str, object] = dict.fromkeys(_FEATURES, True)
    features["indexing_preferences"] = dict.fromkeys(_INDEXING, True)
    return json_answer(200, {"version": "0.5.0", "features": features})


def redirect() -> Answer:
    """Answer ``/ermrest`` without its slash."""
    return Answer(status=308, headers={"Location": "/ermrest/"})


def show_session(request: Request) -> Answer:
    """Answer GET and PUT of the session."""
    _demand_session(request)
    return json_answer(200, session_doc(request.client))


def end_session(request: Request) -> Answer:
    """Answer DELETE of the session."""
    _demand_session(request)
    return json_answer(
        200,
        {"logout_url": "/"},
        {"Set-Cookie": "webauthn=; Path=/; Max-Age=0; HttpOnly"},
    )


def _demand_session(request: Request) -> None:
    if request.client == ANONYMOUS:
        raise not_found("There is no session.")


def log_in(request: Request, logins: Logins) -> Answer:
    """Answer POST of a login form."""
    if request.client != ANONYMOUS and not logins.is_open:
        raise HttpError(409, "There is a session already.")
    found = logins.login(request.body.decode(errors="replace"))
    if found is None:
        raise forbidden("The login is not known.", anonymous=True)
    client, token = found
    cookie = f"webauthn={token}; Path=/; HttpOnly"
    return json_answer(201, session_doc(client), {"Set-Cookie": cookie})
