from __future__ import annotations

from pathlib import Path

import pytest

from include.errors import ConfigError
from include.serving.python_errors import message_of


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\ny = {}['secret']\n", "{path}, line 2: KeyError, see the log"),
        ("import no_such", "{path}, line 1: ModuleNotFoundError (No module named 'no_such'), see"),
        ("x = (\n", "{path}, line 1: SyntaxError ('(' was never closed), see the log"),
        ("import json\njson.loads('secret')\n", "{path}, line 2: JSONDecodeError, see the log"),
        ("from include.errors import ConfigError as E\nraise E('Do this.')\n", "Do this."),
    ],
)
def test_errors_of_a_file_are_told_with_its_line(tmp_path: Path, source: str, said: str) -> None:
    path = tmp_path / "features.py"
    with pytest.raises(Exception) as raised:  # noqa: PT011 - of any kind
        exec(compile(source, str(path), "exec"), {})  # noqa: S102
    words = message_of(raised.value, path)  # type: ignore[arg-type]
    assert words.startswith(said.replace("{path}", str(path)))
    assert "secret" not in words


def test_errors_from_elsewhere_are_told_without_a_line(tmp_path: Path) -> None:
    assert message_of(ValueError("secret"), tmp_path / "features.py") == "ValueError, see the log"
    assert message_of(ConfigError("Do that."), tmp_path) == "Do that."
