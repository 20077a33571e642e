"""What a refusal must look like, wherever it comes from."""

import pytest

from minima.runtime.errors import UserError


@pytest.fixture
def refusal():
    """Calls a function that must raise UserError; returns its line after checking its form."""

    def call(function, *args, **kwargs):
        with pytest.raises(UserError) as caught:
            function(*args, **kwargs)
        line = str(caught.value)
        assert len(line.splitlines()) == 1
        assert line.startswith("--")
        assert "Traceback" not in line
        assert "Error" not in line
        return line

    return call
