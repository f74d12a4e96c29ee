"""No locked package has a licence that nobody has looked at."""

from importlib.metadata import PathDistribution, distributions

import pytest
from packaging.utils import canonicalize_name

from scripts import licences

LOCKED = licences.locked((licences.REPO / "requirements.txt").read_text())


@pytest.fixture
def package(tmp_path):
    """Make an installed package with this metadata."""

    def make(*lines, name="some-package"):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        metadata = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines])
        (folder / "METADATA").write_text(metadata + "\n")
        return PathDistribution(folder)

    return make


def test_the_licence_of_each_installed_locked_package_is_allowed():
    assert len(LOCKED) > 200
    assert licences.unknown(distributions(), LOCKED) == {}, (
        "read the licence, then add it to PERMISSIVE in scripts/licences.py, or the package to "
        "BY_PACKAGE with the reason"
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["License-Expression: AGPL-3.0-only"], "AGPL-3.0-only"),
        (["License: Proprietary", " All rights reserved"], "Proprietary"),
        (["License-Expression: MIT AND SSPL-1.0"], "MIT AND SSPL-1.0"),
        (
            [
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: Other/Proprietary License",
            ],
            "MIT License AND Other/Proprietary License",
        ),
        ([], ""),
    ],
)
def test_a_licence_that_nobody_allowed_is_found(package, lines, said):
    assert licences.unknown([package(*lines)], {"some-package"}) == {"some-package": said}


@pytest.mark.parametrize(
    "lines",
    [
        ["License-Expression: MIT"],
        ["License-Expression: GPL-2.0-only OR BSD-3-Clause"],
        ["Classifier: License :: OSI Approved :: BSD License", "License: a long text"],
        ["License: MIT License"],
    ],
)
def test_a_permissive_one_passes(package, lines):
    assert licences.unknown([package(*lines)], {"some-package"}) == {}


def test_a_package_that_is_not_locked_is_not_ours(package):
    assert licences.unknown([package("License: Proprietary")], {"another"}) == {}


def test_each_package_that_was_looked_at_is_locked_and_says_why():
    names = set(licences.BY_PACKAGE)

    assert names <= LOCKED, f"remove {names - LOCKED} from BY_PACKAGE in scripts/licences.py"
    assert names == {canonicalize_name(name) for name in names}
    assert all(len(reason.split()) >= 5 for reason in licences.BY_PACKAGE.values())


def test_the_list_names_each_package_and_an_unknown_one_fails(package, monkeypatch, capsys):
    bad = package("License: Proprietary", name="numpy")
    monkeypatch.setattr(licences, "distributions", lambda: [bad])

    assert licences.main() == 1

    said = capsys.readouterr()
    assert "numpy" in said.out
    assert "numpy declares 'Proprietary', which scripts/licences.py does not allow" in said.err
