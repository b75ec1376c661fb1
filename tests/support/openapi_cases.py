"""Requests generated from the OpenAPI document, and the checks of their responses, with schemathesis.

Importing schemathesis takes a second: import this module in fixtures, not at the head of a test module.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisDeprecationWarning
from schemathesis.checks import CheckContext
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.drivers import CoverageGenerator
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.generation.overrides import Override

from tests.support.api_stack import Member

SEED: Final = 20_250_906
DOCUMENT: Final = "/api/v1/openapi.json"
SESSION_COOKIE: Final = "access_token_cookie"
CSRF_HEADER: Final = "X-CSRF-TOKEN"
KEY_HEADER: Final = "Idempotency-Key"
_MAX_SHOWN: Final = 20
# A valid request gets a result, a refusal of the engine or a limit, and never "malformed" or "unavailable".
ACCEPTED: Final = ("2xx", "404", "409", "422", "429")
# Headers that every response has, or that HTTP defines for every response.
_GENERAL_HEADERS: Final = {
    "cache-control",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "referrer-policy",
    "x-content-type-options",
    "x-frame-options",
}

schemathesis.openapi.format(
    "printable", st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)
)


@dataclass(frozen=True)
class Session:
    cookie: str
    csrf: str

    @classmethod
    def of(cls, member: Member) -> "Session":
        cookie = member.client.get_cookie(SESSION_COOKIE)
        assert cookie is not None
        return cls(cookie.value, member.csrf[CSRF_HEADER])


class DocumentedApi:
    """The API of `app` for one client. `failures` are the responses that the document does not describe.

    `accepted` are the statuses that a valid request may get.
    """

    def __init__(
        self, app: Flask, session: Session | None = None, accepted: Sequence[str] = ACCEPTED
    ) -> None:
        config = schemathesis.Config.from_dict(
            {
                "seed": SEED,
                "generation": {"deterministic": True},
                "checks": {
                    "positive_data_acceptance": {"expected-statuses": list(accepted)},
                    "not_a_server_error": {"expected-statuses": ["2xx", "4xx", *accepted]},
                },
            }
        )
        self.schema: Any = schemathesis.openapi.from_wsgi(DOCUMENT, app, config=config)
        self.operations: dict[str, Any] = {
            found.ok().label: found.ok() for found in self.schema.get_all_operations()
        }
        self.failures: list[str] = []
        self.requests = 0
        self._keys: set[str] = set()
        if session is not None:
            self.schema.auth()(_provider(session))

    def check_generated(
        self, operation: Any, examples: int, adjust: Callable[[Any], None], **fixed: dict[str, str]
    ) -> None:
        """Send the generated requests of an operation: boundaries of each field, and random ones.

        `adjust` may change a request. Half of the random valid ones have the values of `fixed`, which are
        parameters by place, such as `path_parameters`.
        """
        for case in self._cases(operation, examples, fixed):
            adjust(case)
            self._with_own_key(case)
            self.check(case)

    def check(self, case: Any, **sent: Any) -> Any:
        """Send one request and compare its response with the document."""
        self.requests += 1
        response = case.call(**sent)
        try:
            case.validate_response(
                response, additional_checks=[documented_headers], transport_kwargs=sent or None
            )
        except FailureGroup as group:
            self.failures.append(f"{case.operation.label} {response.status_code}\n{group}")
        return response

    def assert_documented(self) -> None:
        print(f"schemathesis seed {SEED}: {self.requests} requests, {len(self.failures)} failures")
        assert not self.failures, "\n\n".join(self.failures[:_MAX_SHOWN])

    def _cases(self, operation: Any, examples: int, fixed: dict[str, dict[str, str]]) -> Iterator[Any]:
        with other_threads_may_use_random():
            boundaries = list(
                CoverageGenerator(
                    operation=operation,
                    generation_modes=list(schemathesis.GenerationMode),
                    generation_config=self.schema.config.generation_for(operation=operation),
                    auth_storage=None,
                    override=Override(),
                    feedback=NO_FEEDBACK,
                )
            )
        yield from boundaries
        yield from random_cases(operation, schemathesis.GenerationMode.POSITIVE, examples)
        if fixed:
            yield from random_cases(operation, schemathesis.GenerationMode.POSITIVE, examples, **fixed)
        if operation.body or list(operation.iter_parameters()):
            yield from random_cases(operation, schemathesis.GenerationMode.NEGATIVE, examples)

    def _with_own_key(self, case: Any) -> None:
        """Give a repeated Idempotency-Key another value: a repeat gets the first answer and tests nothing."""
        key = case.headers.get(KEY_HEADER)
        if isinstance(key, str) and key in self._keys and case.meta.generation.mode.is_positive:
            case.headers[KEY_HEADER] = f"{key[:50]}.{len(self._keys)}"
        self._keys.add(str(case.headers.get(KEY_HEADER)))

    def valid_case(self, operation: Any, path_parameters: Mapping[str, str] | None = None) -> Any:
        """One valid request of an operation, with the `path_parameters` that it has."""
        names = [one.name for one in operation.path_parameters]
        own = {name: value for name, value in (path_parameters or {}).items() if name in names}
        fixed = {"path_parameters": own} if own else {}
        return random_cases(operation, schemathesis.GenerationMode.POSITIVE, 1, **fixed)[0]


def random_cases(operation: Any, mode: Any, examples: int, **fixed: dict[str, str]) -> list[Any]:
    """At most `examples` random requests that are valid or not, always the same ones."""
    found: list[Any] = []

    @seed(SEED)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(mode, feedback=NO_FEEDBACK, **fixed))
    def collect(case: Any) -> None:
        found.append(case)

    with other_threads_may_use_random():
        collect()
    return found


@contextmanager
def other_threads_may_use_random() -> Iterator[None]:
    """Hypothesis warns if the state of `random` changes while it generates a value.

    Here that is the jitter of a background thread of the application: no strategy uses `random`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Do not use the `random` module inside strategies", HypothesisDeprecationWarning
        )
        yield


def needs_session(operation: Any) -> bool:
    return "security" in operation.definition.raw


def is_for_operators(operation: Any) -> bool:
    return operation.path.startswith("/api/v1/admin/")


def documented_headers(context: CheckContext, response: Any, case: Any) -> None:
    """Every header of a documented response is documented."""
    documented = case.operation.responses.find_by_status_code(response.status_code)
    if documented is None or response.request.method != case.operation.method.upper():
        return
    names = {name.lower() for name, _ in documented.headers.items()} | _GENERAL_HEADERS
    unknown = {name.lower() for name in response.headers} - names
    if unknown:
        raise AssertionError(f"The headers {sorted(unknown)} are not in the document.")


def _provider(session: Session) -> type:
    class Provider:
        def get(self, case: Any, context: Any) -> Session:
            return session

        def set(self, case: Any, data: Session, context: Any) -> None:
            case.cookies[SESSION_COOKIE] = data.cookie
            case.headers[CSRF_HEADER] = data.csrf

    return Provider
