"""Every family of networks in turn."""

import pytest
from landscape_cases import FAMILIES


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param
