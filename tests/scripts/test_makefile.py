import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions

import pytest
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from scripts.stack.settings import REPO

MAKEFILE = (REPO / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)


def make(*arguments, cwd=REPO):
    # The make that runs these tests must not be heard by the one that is tested.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", *arguments], cwd=cwd, capture_output=True, text=True, env=env)


@pytest.fixture
def checkout(tmp_path):
    """Copy what `make venv` needs of a clean checkout."""
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(REPO / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("arguments", [(), ("help",)])
def test_every_target_is_listed_with_what_it_does(arguments):
    listed = re.findall(r"^  make ([\w-]+) +\S", make(*arguments).stdout, re.MULTILINE)

    assert sorted(listed) == sorted(TARGETS)


def test_an_old_python_is_refused_in_words(checkout):
    old = checkout / "python3.9"
    old.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "\nimport sys; sys.version_info = (3, 9)\n$2"'
    )
    old.chmod(0o755)

    done = make("venv", f"PYTHON={old}", cwd=checkout)

    assert done.returncode != 0
    assert (
        f"Flywheel needs Python 3.11 or later, {old} is 3.9. Name another: make PYTHON="
        in done.stderr
    )
    assert not (checkout / ".venv").exists()


def test_what_pip_installs_is_uv_alone_as_the_lock_has_it(checkout):
    """Stand-ins for pip and uv: the recipe runs, nothing is installed."""
    programs = checkout / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(
        f'#!/bin/sh\necho python "$@" >> log\ncp "{sys.executable}" /dev/null\n'
        "printf '#!/bin/sh\\necho uv \"$@\" >> log\\n' > .venv/bin/uv\n"
        "chmod +x .venv/bin/uv\n"
    )
    (programs / "python").chmod(0o755)

    assert make("venv", cwd=checkout).returncode == 0

    wanted = (checkout / ".venv" / "uv.txt").read_text().splitlines()
    assert re.fullmatch(r"uv==[\d.]+ \\", wanted[0])
    assert len(wanted) > 1
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in wanted[1:])
    pip, uv = (checkout / "log").read_text().splitlines()
    assert "--require-hashes" in pip
    assert "--no-deps" in pip
    assert uv.endswith("--require-hashes requirements.txt")
    assert make("venv", cwd=checkout).stdout.startswith("make: Nothing to be done")

    os.utime(checkout / "requirements.txt", (2**32, 2**32))
    make("venv", cwd=checkout)
    assert len((checkout / "log").read_text().splitlines()) == 3, (
        "a changed lock is synced, by uv alone"
    )


def test_the_gate_runs_make_and_its_exit_code_decides(tmp_path):
    (tmp_path / ".ci").mkdir()
    shutil.copy(REPO / ".ci" / "run", tmp_path / ".ci")
    ran = "\t@echo $@ $$FLYWHEEL_HOME. >> log"
    goals = ("cluster-install", "lint", "test", "test-cluster-quick")
    recipes = {goal: ran for goal in goals} | {"lint": f"{ran}\n\t@exit 1"}
    lines = "".join(f"{goal}:\n{recipe}\n" for goal, recipe in recipes.items())
    (tmp_path / "Makefile").write_text(lines)
    env = {**os.environ, "FLYWHEEL_HOME": "/a/stack/of/the/callers"}

    done = subprocess.run([tmp_path / ".ci" / "run"], env=env, capture_output=True, text=True)

    assert done.returncode != 0
    log = (tmp_path / "log").read_text()
    assert log == "".join(f"{goal} .\n" for goal in goals), "the tests run though lint failed"
    assert f"make {' '.join(goals)}" in done.stdout


def test_commit_hooks_run_targets_and_fetch_nothing():
    config = YAML(typ="safe", pure=True).load((REPO / ".pre-commit-config.yaml").read_text())

    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    entries = [hook["entry"].split() for hook in config["repos"][0]["hooks"]]
    assert [entry[0] for entry in entries] == ["make"] * len(entries)
    assert {entry[1] for entry in entries} <= set(TARGETS)


def test_the_bill_of_materials_names_each_installed_package_with_its_version(tmp_path):
    """The recipe as it stands, into another file; without the sync that comes before it."""
    installed = f"{sys.prefix}/.installed"
    recipe = make("--dry-run", f"--old-file={installed}", f"VENV={sys.prefix}", "sbom").stdout
    assert recipe.count("sbom.json") == 1
    file = tmp_path / "sbom.json"

    command = recipe.replace("sbom.json", str(file))
    done = subprocess.run(command, shell=True, capture_output=True, text=True)  # noqa: S602

    assert done.returncode == 0, f"{done.stderr}\nNot installed? Run `make venv`."
    bill = json.loads(file.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    listed = {(canonicalize_name(each["name"]), each["version"]) for each in bill["components"]}
    expected = {(canonicalize_name(d.metadata["Name"]), d.version) for d in distributions()}
    assert listed == expected
