"""The documentation and the program are one contract."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import typer

from unsquash.cli import app

REPOSITORY = Path(__file__).parent.parent.parent


def commands(command, name=()):
    if hasattr(command, "commands"):
        return [item for key, sub in command.commands.items() for item in commands(sub, (*name, key))]
    return [(" ".join(name), command)]


ALL = commands(typer.main.get_command(app))


def test_the_generated_reference_is_current():
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8") == module.reference(), "run make docs"


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_command_and_option_has_help(name, command):
    assert command.help
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name


def test_every_command_is_in_the_guide():
    guide = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for name, _ in ALL:
        assert f"unsquash {name.split()[0]}" in guide


def test_links_between_documents_hold():
    pages = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").glob("*.md")]
    checked = 0
    for page in pages:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
            checked += 1
    assert checked > 5


def test_readme_commands_exist():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    known = {name.split()[0] for name, _ in ALL}
    used = set(re.findall(r"^(?:.*\| )?unsquash (\w+)", readme, flags=re.MULTILINE))
    assert used
    assert used <= known
    for target in re.findall(r"^make (\w+)", readme, flags=re.MULTILINE):
        assert f"\n{target}:" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def test_the_changelog_names_this_version():
    version = re.search(r'^version = "(.+)"', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert f"## [{version}]" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_document_names_a_machine():
    for page in [*(REPOSITORY / "docs").glob("*"), REPOSITORY / "README.md"]:
        if page.is_file():
            assert not re.search(r"/(work|tmp|root)/", page.read_text(encoding="utf-8")), page.name
