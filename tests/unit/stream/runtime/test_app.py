"""Which services a worker may run."""

import pytest

from paceline.core.errors import ValidationError
from stream.runtime.app import SERVICES, check_names


def test_each_service_and_all_services_are_accepted() -> None:
    for name in SERVICES:
        check_names([name])
    check_names(list(SERVICES))


@pytest.mark.parametrize("names", [[], ["engine", "engine"], ["motor"], ["engine", ""]])
def test_invalid_service_lists_are_refused(names: list[str]) -> None:
    with pytest.raises(ValidationError):
        check_names(names)
