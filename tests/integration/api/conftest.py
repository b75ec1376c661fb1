"""One stack with real servers and stream services for all tests of the API."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from api import close, create_app
from paceline.local.servers import server
from tests.support.api_stack import Member, Stack, running_stack, sign_in
from tests.support.servers import make_database, open_folder

_DATABASE = "api_tests"


@pytest.fixture(scope="session")
def stack(postgres_server: server.RunningServer) -> Iterator[Stack]:
    url = make_database(postgres_server, _DATABASE)
    folder = open_folder()
    with running_stack(folder, url) as running:
        yield running
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def app(stack: Stack) -> Iterator[Flask]:
    made = create_app(stack.settings)
    yield made
    close(made)


@pytest.fixture
def newcomer(app: Flask, stack: Stack) -> Callable[..., Member]:
    """Sign in a new member with each call."""
    return lambda **about: sign_in(app, stack, **about)


@pytest.fixture
def member(newcomer: Callable[..., Member]) -> Member:
    return newcomer()
