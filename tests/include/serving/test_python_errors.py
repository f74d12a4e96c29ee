from __future__ import annotations

import pytest

from include.errors import ConfigError
from include.serving.python_errors import message_of
from include.use_cases.python_package import OwnPython

HELPER = "def half(value):\n    return value / 0\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = (\n", "tiny/features.py, line 1: cannot be imported, got SyntaxError: '(' was never"),
        (
            "from .helper import half\nhalf(1)\n",
            "tiny/helper.py, line 2: cannot be imported, got ZeroDivisionError: division by zero",
        ),
        (
            "def derive(frame):\n    return frame['secret']\n",
            "tiny/features.py, line 2: KeyError, see the log",
        ),
        (
            "def derive(frame):\n    import no_such\n",
            "tiny/features.py, line 2: ModuleNotFoundError (No module named 'no_such'), see",
        ),
        (
            "from .helper import half\ndef derive(frame):\n    return half(1)\n",
            "tiny/helper.py, line 2: ZeroDivisionError, see the log",
        ),
    ],
)
def test_errors_of_a_models_python_are_told_with_file_and_line(source: str, said: str) -> None:
    python = OwnPython("tiny", (("features.py", source), ("helper.py", HELPER)))
    with pytest.raises(Exception) as raised:  # noqa: PT011 - of any kind
        python.module().derive({})  # type: ignore[union-attr]
    words = message_of(raised.value)  # type: ignore[arg-type]
    assert words.startswith(said)
    assert "secret" not in words


def test_errors_from_elsewhere_are_told_without_a_line() -> None:
    assert message_of(ValueError("secret")) == "ValueError, see the log"
    assert message_of(ConfigError("Do that.")) == "Do that."
